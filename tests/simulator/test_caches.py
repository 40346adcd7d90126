"""What an edge remembers, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from simulator.caches import Caches, SessionRule, Visit
from simulator.replay import CacheWish, Replay

RULES = (SessionRule("/", 60, "cookie", "sid"), SessionRule("/deep/er", 60, "header", "X-User", allow_bypass=True))


@dataclass
class Clock:
    """A clock that a test sets."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def visit(path: str = "/a/b", host: str = "example.test:443", **headers: str) -> Visit:
    """A request."""
    return Visit(host, path, {name.replace("_", "-"): value for name, value in headers.items()})


def wish(prefix: str, ttl: float = 30) -> Replay:
    """A replay that wants to be remembered."""
    return Replay(app="t", cache=CacheWish(prefix, ttl))


def test_a_path_is_remembered_below_its_prefix_and_for_its_time() -> None:
    """Neither beside it nor longer."""
    clock = Clock()
    caches = Caches(clock)

    assert caches.remember_path(visit(), wish("/a/*"), "router")
    for path in ("/a/b", "/a", "/a/c/d"):
        assert caches.look(visit(path), ())
    assert not caches.look(visit("/ab"), ())
    assert not caches.look(visit(host="other.test"), ())
    clock.now = 30
    assert not caches.look(visit(), ())
    assert not len(caches)


@pytest.mark.parametrize(
    "replay",
    [
        wish("/other/*"),
        wish("other.test/a/*"),
        wish("/a/*", ttl=9),
        wish("a"),
        Replay(app="t"),
        Replay(app="t", state="x", cache=CacheWish("/a/*", 30)),
        Replay(app="t", timeout=1, cache=CacheWish("/a/*", 30)),
        Replay(app="t", cache=CacheWish(invalidate=True)),
    ],
)
def test_what_may_not_be_remembered_is_not(replay: Replay) -> None:
    """Another path, another host, too short a time, fields that exclude it."""
    caches = Caches(Clock())

    assert not caches.remember_path(visit(), replay, "router")
    assert not caches.look(visit(), ())


def test_the_longest_prefix_wins() -> None:
    """Whatever was remembered last."""
    caches = Caches(Clock())
    caches.remember_path(visit(), Replay(app="deep", cache=CacheWish("example.test/a/b/*", 30)), "router")
    caches.remember_path(visit(), Replay(app="flat", cache=CacheWish("/*", 30)), "router")

    assert [entry.replay.app for path in ("/a/b/c", "/x") if (entry := caches.look(visit(path), ()))] == [
        "deep",
        "flat",
    ]


def test_a_session_is_a_host_a_rule_and_a_value() -> None:
    """Another cookie is another session; without one there is none."""
    caches = Caches(Clock())

    assert caches.remember_session(visit(cookie="sid=1"), RULES, Replay(app="t"), "router")
    assert caches.look(visit("/x", cookie="b=2; sid=1"), RULES)
    assert not caches.look(visit(cookie="sid=2"), RULES)
    assert not caches.look(visit(), RULES)
    assert not caches.look(visit(host="other.test", cookie="sid=1"), RULES)
    assert not caches.remember_session(visit(), RULES, Replay(app="t"), "router")
    caches.remember_session(visit("/deep/er/x", x_user="me", cookie="sid=1"), RULES, Replay(app="u"), "router")
    found = caches.look(visit("/deep/er/y", x_user="me"), RULES)
    assert found
    assert (found.replay.app, found.allow_bypass) == ("u", True)


def test_entries_are_forgotten_and_lost() -> None:
    """On purpose, all at once, and at random."""
    caches = Caches(Clock())
    caches.remember_path(visit(), wish("/a/*"), "router")
    found = caches.look(visit(), ())
    assert found
    caches.forget(found)
    assert not caches.look(visit(), ())
    caches.remember_path(visit(), wish("/a/*"), "router")
    caches.loses = lambda: True
    assert not caches.look(visit(), ())
    caches.remember_path(visit(), wish("/a/*"), "router")
    caches.clear()
    assert not len(caches)


def test_nothing_is_kept_longer_than_the_proxy_wants() -> None:
    """Whatever the emitter says."""
    clock = Clock()
    caches = Caches(clock, longest_ttl=100)
    caches.remember_path(visit(), wish("/a/*", 10_000), "router")
    clock.now = 100

    assert not caches.look(visit(), ())
