"""The tenants of a real service: whichever machine of which region is asked, each URL ends at exactly one."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from atcgen.compiler.explain import explain
from atcgen.compiler.plan import Plan
from tests.compiler.compiling import compiled, machine
from tests.showcases import of_december, tenant_ids

_RULES: list[dict[str, Any]] = [{"path": "**.pdf", "methods": ["GET"], "app": "printer"}]
Views = dict[str, Plan]  # by region


@pytest.fixture(scope="module", params=["fly", "proxy"])
def target(request: pytest.FixtureRequest) -> str:
    """How machines reach each other."""
    kind: str = request.param
    return kind


@pytest.fixture(scope="module")
def users() -> dict[str, Any]:
    """Those of December 2024."""
    return of_december()


@pytest.fixture(scope="module")
def views(target: str, users: dict[str, Any]) -> Views:
    """What the machine of each region makes of the same atc.yml."""
    regions = sorted({each["region"] for each in users.values()})
    hosts = {each: f"http://10.0.0.{number}:8080" for number, each in enumerate(regions, 1)}
    fleet: dict[str, Any] = {"app": "shows", "address": "https://shows.example", "elsewhere": _RULES}
    if target == "proxy":
        fleet = {"target": "proxy", "secret": "everybody's", "hosts": hosts}
    text = yaml.safe_dump({"fleet": fleet, "app": {"start": "serve ${socket}"}, "users": users})
    return {each: compiled(text, machine(region=each, instance=f"m-{each}")).plan for each in regions}


def test_every_tenant_is_on_one_machine(views: Views, users: dict[str, Any]) -> None:
    here = [tenant.id for plan in views.values() for tenant in plan.tenants]
    assert sorted(here) == sorted(tenant_ids(users))


def test_every_url_ends_at_the_machine_of_its_tenant(views: Views, users: dict[str, Any]) -> None:
    """At once or after one replay, wherever it arrives."""
    for tenant in tenant_ids(users):
        home = users[tenant.partition("/")[0]]["region"]
        for path in (f"/{tenant}/", f"/{tenant}/some/page?a=1"):
            ends = {arrival: follow(views, arrival, path) for arrival in views}
            assert ends == dict.fromkeys(views, (home, tenant)), path


def test_a_url_of_nobody_ends_nowhere(views: Views, users: dict[str, Any]) -> None:
    """Also one below the prefix of a user who is elsewhere: the machine of this user says so."""
    for user, said in users.items():
        for arrival in views:
            region, answer = follow(views, arrival, f"/{user}/no/such/tenant/")
            assert (region, answer) == (said["region"], "nobody")
        assert explain(views[said["region"]], "/nobody/at/all/").answer == "nobody"


@pytest.mark.parametrize("target", ["fly"], indirect=True)
def test_what_a_rule_names_is_the_same_everywhere(views: Views, users: dict[str, Any]) -> None:
    for tenant in tenant_ids(users):
        assert {explain(each, f"/{tenant}/heats.pdf").target for each in views.values()} == {"app=printer"}


def follow(views: Views, arrival: str, path: str) -> tuple[str, str]:
    """The region where a URL ends, and whose answer it is; nothing is sent on twice."""
    first = explain(views[arrival], path)
    if first.answer != "replay":
        return arrival, first.tenant or first.answer
    kind, _, region = first.target.partition("=")
    assert kind in ("region", "host")
    assert region != arrival
    second = explain(views[region], path)
    assert second.answer != "replay", f"{path} goes from {arrival} to {region}, and on to {second.target}"
    return region, second.tenant or second.answer
