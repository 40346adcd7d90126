"""What the proxy understands as a replay, and what it does not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from simulator.replay import (
    JSON_TYPE,
    CacheWish,
    Malformed,
    Replay,
    Transform,
    carries_replay,
    from_header,
    from_json,
    read_answer,
)
from simulator.unknowns import Unknowns

STRICT = Unknowns()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("region=iad", Replay(regions=("iad",))),
        ('region="iad,ord,any";app=target', Replay(app="target", regions=("iad", "ord", "any"))),
        ("app=target;instance=d89", Replay(app="target", instance="d89")),
        ("prefer_instance=d89;state=a-b_c", Replay(prefer_instance="d89", state="a-b_c")),
        ("elsewhere=true", Replay(elsewhere=True)),
        ("app=t;timeout=800ms;fallback=prefer_self", Replay(app="t", timeout=0.8, fallback="prefer_self")),
        ("app=t;timeout=10s;fallback=force_self", Replay(app="t", timeout=10, fallback="force_self")),
    ],
)
def test_a_header_is_read(text: str, expected: Replay) -> None:
    """Fields with `;` between them."""
    assert from_header(text, STRICT) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        ";",
        "app=t;",
        "app=t,state=x",
        "app=t; state=x",
        "state=x",
        "app=t;app=t",
        "prefer_region=iad",
        "region=iad,ord",
        'region="iad;ord"',
        "app=t;timeout=1500",
        "app=t;timeout=soon",
        "app=t;fallback=self",
        "elsewhere=yes",
        "instance=a;prefer_instance=b",
        "instance=a;region=iad",
        "app=",
        'app="a b"',
    ],
)
def test_a_header_that_is_not_right_is_malformed(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(Malformed):
        from_header(text, STRICT)


def test_what_may_be_legal_can_be_allowed() -> None:
    """Two switches."""
    lax = replace(STRICT, unitless_timeout=True, unquoted_regions=True)

    assert from_header("app=t;timeout=1500", lax).timeout == 1.5
    assert from_header("region=iad,ord", lax).regions == ("iad", "ord")


def _json(**said: Any) -> Replay:
    return from_json(json.dumps(said).encode(), STRICT)


def test_json_is_read() -> None:
    """With what the header cannot say."""
    found = _json(
        app="t",
        region="iad,us",
        elsewhere=True,
        transform={"path": "/x?y", "delete_headers": ["A"], "set_headers": [{"name": "B", "value": "c"}]},
        cache={"prefix": "/some/*", "ttl": 60},
        allow_bypass=True,
    )

    assert (found.app, found.regions, found.elsewhere) == ("t", ("iad", "us"), True)
    assert found.transform == Transform("/x?y", ("a",), (("b", "c"),))
    assert found.cache == CacheWish("/some/*", 60, allow_bypass=True)
    assert not found.is_cacheable
    assert _json(app="t", cache={"invalidate": True}).cache == CacheWish(invalidate=True)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"app": 1}',
        b'{"app": "t", "regions": []}',
        b'{"app": "t", "transform": []}',
        b'{"app": "t", "transform": {"path": "x"}}',
        b'{"app": "t", "transform": {"set_headers": ["a"]}}',
        b'{"app": "t", "cache": {"prefix": "/x", "ttl": "60"}}',
        b'{"app": "t", "state": "' + b"x" * 70_000 + b'"}',
    ],
)
def test_json_that_is_not_right_is_malformed(body: bytes) -> None:
    """As strictly."""
    with pytest.raises(Malformed):
        from_json(body, STRICT)


def test_an_answer_says_it_in_either_way() -> None:
    """The header wins, unless that is switched."""
    both = (("fly-replay", "app=one"), ("content-type", f"{JSON_TYPE}; charset=utf-8"))

    assert carries_replay(both[1:])
    assert carries_replay(both[:1])
    assert not carries_replay([("content-type", "application/json")])
    assert read_answer(both, b"", STRICT).app == "one"
    assert read_answer(both, b'{"app": "two"}', replace(STRICT, header_wins=False)).app == "two"
    with pytest.raises(Malformed):
        read_answer((both[0], both[0]), b"", STRICT)


def test_headers_ask_for_a_cache() -> None:
    """A prefix needs a time."""
    asked = [("fly-replay", "app=t"), ("fly-replay-cache", "/x/*"), ("fly-replay-cache-ttl-secs", "30")]

    assert read_answer(asked, b"", STRICT).cache == CacheWish("/x/*", 30)
    assert read_answer([*asked, ("fly-replay-cache-allow-bypass", "yes")], b"", STRICT).cache == CacheWish(
        "/x/*", 30, allow_bypass=True
    )
    assert read_answer([asked[0], ("fly-replay-cache", "invalidate")], b"", STRICT).cache == CacheWish(invalidate=True)
    with pytest.raises(Malformed):
        read_answer(asked[:2], b"", STRICT)
