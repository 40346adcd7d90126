"""The real edits of three years, one after the other, while tenants run."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.showcases import showcase_files, tenant_ids, users_of
from tests.system.running import Atc, running, wait_until

pytestmark = pytest.mark.system

WARM = 5


def test_every_real_edit_is_applied_and_touches_only_what_it_changed() -> None:
    """Every generation is valid, tenants that stay keep their process, nginx reloads only when its text changed."""
    files = [users_of(each) for each in showcase_files()]
    with running(_text(0, files[0])) as atc:
        warm: dict[str, int] = {}
        for number, users in enumerate(files[1:], 1):
            tenants = tenant_ids(users)
            warm = {name: pid for name, pid in warm.items() if name in tenants}
            for name in sorted(tenants & tenant_ids(files[number - 1]) - warm.keys())[: WARM - len(warm)]:
                warm[name] = atc.pid(f"/{name}/")

            atc.edit(_text(number - 1, files[number - 1]), _text(number, users))
            wait_until(lambda number=number: _applied(atc) == number)  # type: ignore[misc]

            same = tenants == tenant_ids(files[number - 1])
            assert f"nginx_reloaded={not same}" in _last_applied(atc)
            assert {name: atc.pid(f"/{name}/") for name in warm} == warm

        assert atc.status()["problem"] == ""
        assert {each["id"] for each in atc.status()["tenants"]} == tenant_ids(files[-1])


def _text(number: int, users: dict[str, Any]) -> str:
    """The rest of atc.yml; a longer idle time makes every edit one, and is nothing to nginx."""
    local = {user: {"name": said["name"], "tenants": said["tenants"]} for user, said in users.items()}
    text: str = yaml.safe_dump({"idle": 3600 + number, "users": local}, sort_keys=False)
    return text


def _applied(atc: Atc) -> int:
    return atc.log().count("generation.applied")


def _last_applied(atc: Atc) -> str:
    return next(line for line in reversed(atc.log().splitlines()) if "generation.applied" in line)
