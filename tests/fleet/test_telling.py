"""Where a machine is told that there is a new edition."""

from __future__ import annotations

import pytest

from atcgen.fleet.reports import REPEATED, Report
from atcgen.fleet.telling import address_of, tell
from tests.compiler.compiling import compiled, machine

REPORT = Report("m1", "sea", "m1", "http://127.0.0.1:1", "0", 12, False, 0, "", 1.0, True, 2.0)


@pytest.mark.parametrize(
    ("fleet", "environ", "address", "headers"),
    [
        ("{}", {"FLY_APP_NAME": "shows"}, "https://shows.fly.dev", {"fly-force-instance-id": "m1"}),
        ("{app: shows, address: 'https://x.example'}", {}, "https://x.example", {"fly-force-instance-id": "m1"}),
        ("{target: proxy, hosts: {m1: 'http://10.0.0.1:80'}}", {"FLY_APP_NAME": "shows"}, "http://10.0.0.1:80", {}),
        ("{target: proxy, hosts: {m2: 'http://10.0.0.1:80'}}", {}, "http://127.0.0.1:1", {}),
        ("{target: kubernetes}", {"FLY_APP_NAME": "shows"}, "http://127.0.0.1:1", {}),
        ("{}", {}, "http://127.0.0.1:1", {}),
    ],
)
def test_a_machine_is_told_where_it_is_reached(
    fleet: str, environ: dict[str, str], address: str, headers: dict[str, str]
) -> None:
    """By Fly Proxy, as the host of its name, or where it listens."""
    shared = compiled(f"fleet: {fleet}\nusers: {{a: {{tenants: {{x: {{}}}}}}}}", machine(environ)).plan.shared

    assert address_of(REPORT, shared) == (address, headers)


def test_who_does_not_answer_is_said() -> None:
    """And who sleeps is left alone."""
    shared = compiled("fleet: {secret: x}\nusers: {a: {tenants: {x: {}}}}").plan.shared
    asleep = Report("m2", "", "m2", "http://127.0.0.1:1", "0", 1, False, 0, "", 1.0, False, 2.0)

    said = tell([REPORT, asleep], 12, shared)

    assert said == {"m1": "http://127.0.0.1:1 does not answer: ConnectionError"}


def test_a_machine_that_says_nothing_for_long_is_silent() -> None:
    """Unless it said that it sleeps."""
    assert not REPORT.is_silent(2.0 + 2 * REPEATED)
    assert REPORT.is_silent(3.0 + 2 * REPEATED)
    assert not Report("m2", "", "", "", "0", 1, False, 0, "", 1.0, False, 2.0).is_silent(1e9)
