"""`fly-replay`, as a header or as JSON: from text to a `Replay`, or `Malformed`. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from simulator.unknowns import Unknowns

JSON_TYPE = "application/vnd.fly.replay+json"
SHORTEST_TTL = 10  # seconds
_FIELDS = {"region", "instance", "prefer_instance", "app", "state", "elsewhere", "timeout", "fallback"}
_TARGETS = {"region", "instance", "prefer_instance", "app", "elsewhere"}
_FALLBACKS = ("force_self", "prefer_self")
_TOKEN = re.compile(r"[A-Za-z0-9_.-]+")
_STATE = re.compile(r"[!-~]+")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_PIECE = re.compile(r'([a-z_]+)=(?:"([^"]*)"|([^";\s]*))')

Headers = Iterable[tuple[str, str]]


class Malformed(Exception):
    """The proxy does not understand a replay."""


@dataclass(frozen=True)
class Transform:
    """What a replay changes in the request."""

    path: str = ""
    delete_headers: tuple[str, ...] = ()
    set_headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class CacheWish:
    """What the emitter wants to be remembered, or forgotten."""

    prefix: str = ""
    ttl: float = 0
    allow_bypass: bool = False
    invalidate: bool = False


@dataclass(frozen=True)
class Replay:
    """Where a request is sent instead."""

    app: str = ""
    regions: tuple[str, ...] = ()
    instance: str = ""
    prefer_instance: str = ""
    state: str = ""
    elsewhere: bool = False
    timeout: float | None = None
    fallback: str = ""
    transform: Transform | None = None
    cache: CacheWish | None = None

    @property
    def is_cacheable(self) -> bool:
        """Is nothing in it that excludes a cache?"""
        return not (self.state or self.timeout is not None or self.fallback or self.transform)


def carries_replay(headers: Headers) -> bool:
    """Is an answer for the proxy, and not for the client?"""
    return any(name == "fly-replay" or (name == "content-type" and _is_json(value)) for name, value in headers)


def needs_body(headers: Headers, unknowns: Unknowns) -> bool:
    """Does the replay stand in the body of the answer?"""
    named = dict(headers)
    return _is_json(named.get("content-type", "")) and not ("fly-replay" in named and unknowns.header_wins)


def read_answer(headers: Headers, body: bytes, unknowns: Unknowns) -> Replay:
    """The replay of an answer; header names are lower case."""
    listed = list(headers)
    if needs_body(listed, unknowns):
        return from_json(body, unknowns)
    said = [value for name, value in listed if name == "fly-replay"]
    if len(said) != 1:
        raise Malformed("more than one fly-replay header")
    return replace(from_header(said[0], unknowns), cache=_cache_headers(dict(listed)))


def from_header(text: str, unknowns: Unknowns) -> Replay:
    """Parse the value of `fly-replay`."""
    fields: dict[str, str] = {}
    at = 0
    while True:
        piece = _PIECE.match(text, at)
        if not piece:
            raise Malformed(f"not a field at {text[at : at + 20]!r}")
        key, quoted, plain = piece[1], piece[2], piece[3]
        if key in fields:
            raise Malformed(f"{key} is there twice")
        if key == "region" and quoted is None and "," in plain and not unknowns.unquoted_regions:
            raise Malformed("a list of regions must be quoted")
        fields[key] = plain if quoted is None else quoted
        at = piece.end()
        if at == len(text):
            return _replay(fields, unknowns)
        if text[at] != ";":
            raise Malformed(f"not a separator at {text[at : at + 20]!r}")
        at += 1


def from_json(body: bytes, unknowns: Unknowns) -> Replay:
    """Parse a body of the type `JSON_TYPE`."""
    if len(body) > unknowns.json_limit:
        raise Malformed("the JSON is too long")
    try:
        said = json.loads(body)
    except ValueError as problem:
        raise Malformed(f"not JSON: {problem}") from None
    if not isinstance(said, dict):
        raise Malformed("not an object")
    rest = {key: said.pop(key) for key in ("transform", "cache", "allow_bypass") if key in said}
    fields = {key: _text(key, value) for key, value in said.items()}
    replay = _replay(fields, unknowns)
    transform = _transform(rest["transform"]) if "transform" in rest else None
    return replace(replay, transform=transform, cache=_cache_json(rest))


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == JSON_TYPE


def _text(key: str, value: object) -> str:
    if key == "elsewhere" and isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        raise Malformed(f"{key} is not a string")
    return value


def _replay(fields: dict[str, str], unknowns: Unknowns) -> Replay:
    _agree(fields)
    return Replay(
        app=fields.get("app", ""),
        regions=tuple(fields["region"].split(",")) if "region" in fields else (),
        instance=fields.get("instance", ""),
        prefer_instance=fields.get("prefer_instance", ""),
        state=fields.get("state", ""),
        elsewhere=fields.get("elsewhere") == "true",
        timeout=_duration(fields["timeout"], unknowns) if "timeout" in fields else None,
        fallback=fields.get("fallback", ""),
    )


def _agree(fields: dict[str, str]) -> None:
    """Every field is known, has a value that can be meant, and does not contradict another."""
    if unknown := set(fields) - _FIELDS:
        raise Malformed(f"unknown: {', '.join(sorted(unknown))}")
    if not set(fields) & _TARGETS:
        raise Malformed("no target")
    for key in ("instance", "prefer_instance", "app"):
        if key in fields and not _TOKEN.fullmatch(fields[key]):
            raise Malformed(f"not a name: {key}")
    if "region" in fields and not all(_TOKEN.fullmatch(each) for each in fields["region"].split(",")):
        raise Malformed("not a list of regions")
    if "state" in fields and not _STATE.fullmatch(fields["state"]):
        raise Malformed("not a state")
    if fields.get("elsewhere", "true") != "true":
        raise Malformed("elsewhere is true or absent")
    if fields.get("fallback", _FALLBACKS[0]) not in _FALLBACKS:
        raise Malformed("unknown fallback")
    if "instance" in fields and set(fields) & {"region", "prefer_instance", "elsewhere"}:
        raise Malformed("instance contradicts another field")


def _duration(text: str, unknowns: Unknowns) -> float:
    found = _DURATION.fullmatch(text)
    if not found or not (found[2] or unknowns.unitless_timeout):
        raise Malformed(f"not a duration: {text!r}")
    return float(found[1]) * _UNITS[found[2] or "ms"]


def _transform(said: object) -> Transform:
    if not isinstance(said, dict) or set(said) - {"path", "delete_headers", "set_headers"}:
        raise Malformed("not a transform")
    try:
        setting = tuple((str(each["name"]).lower(), str(each["value"])) for each in said.get("set_headers", ()))
        deleting = tuple(str(each).lower() for each in said.get("delete_headers", ()))
    except (TypeError, KeyError):
        raise Malformed("not a transform of headers") from None
    path = said.get("path", "")
    if not isinstance(path, str) or (path and not path.startswith("/")):
        raise Malformed("not a path")
    return Transform(path, deleting, setting)


def _cache_headers(named: dict[str, str]) -> CacheWish | None:
    prefix = named.get("fly-replay-cache", "")
    if not prefix:
        return None
    if prefix == "invalidate":
        return CacheWish(invalidate=True)
    ttl = named.get("fly-replay-cache-ttl-secs", "")
    if not ttl.isdecimal():
        raise Malformed("fly-replay-cache needs fly-replay-cache-ttl-secs")
    return CacheWish(prefix, int(ttl), named.get("fly-replay-cache-allow-bypass") == "yes")


def _cache_json(rest: dict[str, Any]) -> CacheWish | None:
    said = rest.get("cache")
    if said is None:
        return None
    if not isinstance(said, dict) or set(said) - {"prefix", "ttl", "invalidate", "allow_bypass"}:
        raise Malformed("not a cache")
    if said.get("invalidate") is True:
        return CacheWish(invalidate=True)
    prefix, ttl = said.get("prefix"), said.get("ttl")
    if not isinstance(prefix, str) or not isinstance(ttl, int) or isinstance(ttl, bool):
        raise Malformed("cache needs prefix and ttl")
    return CacheWish(prefix, ttl, rest.get("allow_bypass", said.get("allow_bypass")) is True)
