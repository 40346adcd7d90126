"""What people read of who has the databases of a tenant, and of what is not there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from atcgen.errors import Unavailable
from atcgen.replica.progress import Progress
from atcgen.replica.restoring import Moment, restore_moment
from atcgen.replica.site import site, vault
from atcgen.system.supervisor import Supervisor
from tests.compiler.compiling import compiled, machine

TEXT = "storage: {replica: file:./copies}\nusers: {a: {app: {databases: [db, q]}, tenants: {x: {}}}}\n"


def test_a_machine_is_called_by_its_instance(tmp_path: Path) -> None:
    """Else by the name that Fly.io gave it."""
    plan = compiled(TEXT, machine(base=str(tmp_path), state=str(tmp_path))).plan

    def called(instance: str | None) -> str:
        environ = {"FLY_MACHINE_ID": "of-fly"}
        return site(plan.store, tmp_path, Supervisor("/nowhere"), environ, asyncio.ensure_future, instance).holder

    assert called("one") == "one"
    assert called(None) == "of-fly"


@pytest.mark.parametrize(("names", "said"), [(("db",), "db is missing in "), (("db", "q"), "db, q are missing in ")])
def test_what_is_missing_is_counted(tmp_path: Path, names: tuple[str, ...], said: str) -> None:
    """One is, two are."""
    plan = compiled(TEXT, machine(base=str(tmp_path), state=str(tmp_path))).plan
    (tmp_path / "copies").mkdir()
    moment = Moment("e1.1", dict.fromkeys(names, 1))

    with pytest.raises(Unavailable, match=said):
        asyncio.run(restore_moment(vault(plan.store, {}), plan.tenants[0], moment, tmp_path, Progress()))
