"""A navigator.yml as atc.yml: every tenant keeps its URL, and every key that is lost is said with its place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from atcgen.compiler.source import parse
from atcgen.init.navigator import import_navigator, is_navigator
from atcgen.init.navigator_server import glob_of
from tests.compiler.compiling import compiled, complaints, machine

FILE = Path(__file__).with_name("navigator.yml")
TEXT = FILE.read_text(encoding="utf-8")


def made() -> dict[str, Any]:
    """The atc.yml of the sample."""
    found: dict[str, Any] = yaml.safe_load(import_navigator(TEXT, "navigator.yml").text)
    return found


def lost(text: str = TEXT) -> dict[str, str]:
    """What is said of each key."""
    said = import_navigator(text, "n.yml").lost
    return dict(each.message.split(": ", 1) for each in said)


def test_it_compiles_to_the_tenants_with_their_urls() -> None:
    """And to the environment that Navigator gave them."""
    text = import_navigator(TEXT, "navigator.yml").text
    host = machine(is_root=True, unix_users=frozenset({"owner", "rails", "nobody"}), user="owner")
    assert complaints(text, host) == ()
    tenants = {each.path: each for each in compiled(text, host).plan.tenants}

    assert set(tenants) == {"/showcase", "/showcase/2025/boston/april", "/showcase/2025/raleigh"}
    boston, raleigh = tenants["/showcase/2025/boston/april"], tenants["/showcase/2025/raleigh"]
    env = dict(boston.env)
    assert env["DATABASE_URL"] == "sqlite3:///data/db/2025-boston-april.sqlite3"
    assert (env["RAILS_ENV"], env["OWNER"], env["PRICE"]) == ("production", "boston", "${5}")
    assert env["SHOWN"] == "${missing} of 2025-boston-april"
    assert boston.start == ("bin/rails", "server", "-b", "0.0.0.0", "-p", env["PORT"], "--name", "two words")
    assert raleigh.start == ("node", "server.js", "--port", dict(raleigh.env)["PORT"])
    assert (raleigh.label, raleigh.unix_user, boston.unix_user, boston.root) == ("Raleigh", "nobody", "rails", "/rails")
    assert (boston.idle, boston.start_timeout) == (300, 20)
    assert [each.cache_control for each in boston.statics] == ["public, max-age=31536000, immutable"]
    assert [each.cache_control for each in boston.public] == ["public, max-age=3600"]


def test_what_holds_for_the_machine() -> None:
    """Port, sleep, hooks, and what another app answers."""
    found = made()

    assert found["server"]["http_port"] == 3000
    assert found["server"]["forward_headers"] is True
    assert found["idle"]["machine"] == {"after": "15m", "then": "suspend"}
    assert found["fleet"]["elsewhere"] == [{"path": "/showcase/**.pdf", "app": "smooth-pdf"}]
    assert found["hooks"]["server"]["ready"] == [{"run": "bin/prerender --all 'a b'", "timeout": "5m"}]
    assert found["hooks"]["tenant"]["stop"] == [{"run": "script/upload", "timeout": "2m"}]


def test_comments_stay() -> None:
    """Of sections, of variables and of tenants."""
    text = import_navigator(TEXT, "navigator.yml").text

    assert text.startswith("# The service of three studios.\nserver:\n")
    assert "  # every tenant has these\n  env:\n    RAILS_ENV: production  # as always\n" in text
    assert "  # the first one\n  - endpoint: /showcase/2025/boston/april\n" in text
    assert text.count("# the first one") == 1


@pytest.mark.parametrize(
    "key",
    [
        "server.hostname",
        "server.root_path",
        "server.health_check.response",
        "server.bot_detection",
        "server.static.allowed_extensions",
        "server.static.cache_control.overrides.1",
        "auth",
        "maintenance.enabled",
        "routes.redirects.0",
        "routes.fly.replay.1",
        "applications.startup_timeout",
        "applications.pools.max_size",
        "applications.pools.start_port",
        "applications.pools.default_memory_limit",
        "applications.tenants.1.memory_limit",
        "applications.tenants.2.name",
        "applications.tenants.2.user",
        "applications.tenants.2.hooks",
        "hooks.server.ready.0.reload_config",
        "hooks.server.stop",
        "managed_processes",
        "logging",
        "colour",
    ],
)
def test_what_is_lost_or_counts_from_now_on_is_said(key: str) -> None:
    """With the place of the key."""
    document, _ = parse(TEXT, "n.yml")
    (said,) = (each for each in import_navigator(TEXT, "n.yml").lost if each.message.startswith(f"{key}: "))
    path = tuple(int(each) if each.isdigit() else each for each in key.split("."))

    assert said.position == document.at(path)
    assert re.match(rf"n\.yml:\d+:\d+: {re.escape(key)}: \S", str(said))


def test_every_key_is_taken_over_or_said() -> None:
    """One that nobody knows, put into each mapping of the file, is said."""
    data = yaml.safe_load(TEXT)
    places = [
        ("server",),
        ("server", "health_check"),
        ("server", "idle"),
        ("server", "static"),
        ("server", "static", "cache_control"),
        ("maintenance",),
        ("routes",),
        ("routes", "fly"),
        ("routes", "fly", "replay", 0),
        ("applications",),
        ("applications", "pools"),
        ("applications", "tenants", 1),
        ("hooks",),
        ("hooks", "server"),
        ("hooks", "tenant"),
        ("hooks", "tenant", "stop", 0),
    ]
    for place in places:
        inner: Any = data
        for part in place:
            inner = inner[part]
        inner["unheard_of"] = 1
    said = lost(yaml.safe_dump(data))

    assert {".".join(map(str, (*place, "unheard_of"))) for place in places} <= set(said)


def test_what_navigator_does_when_told_nothing() -> None:
    """Port 3000, ten minutes, and Rails on a loopback address."""
    text = import_navigator("applications: {tenants: [{path: /a/}]}", "n.yml").text
    plan = compiled(text).plan
    (tenant,) = plan.tenants

    assert plan.server.listen == ("0.0.0.0:3000",)
    assert tenant.start == ("bin/rails", "server", "-b", "127.0.0.1", "-p", str(tenant.port))
    assert (tenant.path, tenant.idle) == ("/a", 600)


@pytest.mark.parametrize(
    ("pattern", "glob"),
    [
        (r"^/showcase/.+\.pdf$", "/showcase/**.pdf"),
        (r"^/a/([^/]+)/print/(.*)$", "/a/*/print/**"),
        (r"^/a$", "/a"),
        (r"^/a(b|c)$", ""),
        (r"^/ab?$", ""),
        (r"/a", ""),
    ],
)
def test_a_pattern_becomes_a_path_or_is_given_up(pattern: str, glob: str) -> None:
    """Never a path that means something else."""
    assert glob_of(pattern) == glob


def test_other_files_are_told_apart() -> None:
    """By their sections."""
    assert is_navigator(yaml.safe_load(TEXT))
    assert not is_navigator({"2025": {}})
    assert not is_navigator([])
