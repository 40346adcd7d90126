"""Who shares a zygote, and what it knows."""

from __future__ import annotations

from typing import Any

import pytest

from atcgen.compiler.plan import Plan, load
from atcgen.compiler.preload import preloadable
from tests.compiler.compiling import compiled, machine


def plan(users: str, app: str = "", **facts: Any) -> Plan:
    """The plan of some users of one application; `app` adds keys to it."""
    text = f"app: {{start: 'gunicorn --bind unix:${{socket}} a:b', preload: true, {app}}}\nusers: {users}\n"
    return compiled(text, machine(is_root=True, **facts)).plan


TWO = "{a: {tenants: {x: {}, y: {}}}}"


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (".venv/bin/gunicorn -c x.py app:app", ("python", ".venv/bin/gunicorn")),
        ("/opt/bin/uvicorn --uds ${socket} a:b", ("python", "/opt/bin/uvicorn")),
        ("python3.12 -m hypercorn a", ("python", "python3.12")),
        ("python serve.py", ("python", "python")),
        ("python -c 'x'", ("", "")),
        ("python", ("", "")),
        ("puma -C config/puma.rb", ("ruby", "puma")),
        ("bundle exec puma -b unix://${socket} ${shims}/prefix.ru", ("ruby", "bundle exec puma")),
        ("bundle exec rails server", ("", "")),
        ("node server.js", ("", "")),
        ("A=b gunicorn x", ("", "")),
        ("gunicorn 'x", ("", "")),
        ("", ("", "")),
    ],
)
def test_what_can_be_loaded_beforehand(start: str, expected: tuple[str, str]) -> None:
    """Known by the command alone."""
    assert preloadable(start) == expected


def test_tenants_of_one_application_share_a_zygote() -> None:
    """Whatever their names, secrets and databases are."""
    found = plan(TWO, "env: {SECRET: '${secret}', NAME: '${tenant.name}', KEY: same}")

    assert len(found.zygotes) == 1
    assert {each.preload for each in found.tenants} == set(found.zygotes)
    assert load(found.to_json()) == found


@pytest.mark.parametrize(
    "other",
    [
        "{app: {root: elsewhere}}",
        "{app: {user: nobody}}",
        "{app: {release: two}}",
        "{app: {start: 'uvicorn --uds ${socket} a:b'}}",
        "{app: {start: '.venv/bin/gunicorn --bind unix:${socket} a:b'}}",
        "{env: {KEY: other}}",
        "{env: {PYTHONPATH: other}}",
        "{env: {RAILS_ENV: staging}}",
    ],
)
def test_others_have_another_one(other: str) -> None:
    """Another directory, user, release, program, or variable that is read before the application is."""
    found = plan(f"{{a: {{tenants: {{x: {{}}, y: {other}}}}}}}", "env: {KEY: same}")

    assert len(found.zygotes) == 2


def test_a_zygote_knows_nothing_of_a_tenant() -> None:
    """Variables whose value names one, and those that one level below the top has."""
    app = "env: {SECRET: 'x${secret}', HOME_OF: '${tenant.dir}', KEY: same, FROM: '${ENV:HERE}', AT: '${app.root}'}"
    found = plan(
        "{a: {env: {OWN: 1, TZ: UTC}, tenants: {x: {env: {PASSWORD: own}}}}}", app, environ={"HERE": "outside"}
    )

    assert [dict(each.env) for each in found.zygotes] == [
        {"AT": "/srv/app", "FROM": "outside", "KEY": "same", "TZ": "UTC"}
    ]


def test_without_preload_there_is_none() -> None:
    """Also where only another tenant has it."""
    found = plan("{a: {tenants: {x: {app: {preload: false}}, y: {}}}}")

    assert [each.id for each in found.tenants if each.preload] == ["a/y"]


def test_its_launch_script_is_its_users() -> None:
    """Who runs it has to read it."""
    (zygote,) = plan(TWO, "user: nobody").zygotes

    assert plan(TWO, "user: nobody").owners()[f"launch/{zygote.program}.sh"] == "nobody"
