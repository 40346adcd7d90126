"""What an edge remembers of replays: the path cache and the session cache. Pure, with a clock that is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie

from simulator.replay import SHORTEST_TTL, CacheWish, Replay

Key = tuple[str, ...]


@dataclass(frozen=True)
class SessionRule:
    """A rule of the emitting app's configuration."""

    path_prefix: str
    ttl: float
    kind: str  # cookie, header
    name: str
    allow_bypass: bool = False

    def value(self, headers: dict[str, str]) -> str:
        """The value that names the session; '' if the request has none."""
        if self.kind == "header":
            return headers.get(self.name.lower(), "")
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self.name)
        except CookieError:
            return ""
        return found.value if found else ""


@dataclass(frozen=True)
class Entry:
    """A replay that is remembered."""

    key: Key
    replay: Replay
    origin: str  # the app that emitted it
    until: float
    allow_bypass: bool


@dataclass(frozen=True)
class Visit:
    """What of a request the caches look at."""

    host: str
    path: str  # without query
    headers: dict[str, str]

    @property
    def domain(self) -> str:
        """The host without a port."""
        return self.host.partition(":")[0].lower()


@dataclass
class Caches:
    """The caches of one edge."""

    clock: Callable[[], float]
    loses: Callable[[], bool] = lambda: False  # is an entry lost at this look?
    longest_ttl: float = 86_400
    _entries: dict[Key, Entry] = field(default_factory=dict)

    def look(self, visit: Visit, rules: tuple[SessionRule, ...]) -> Entry | None:
        """What is remembered for a request: by session, or else by path; the longest prefix wins."""
        session = _session_key(visit, rules)
        keys = [session[0]] if session else []
        paths = [key for key in self._entries if key[:2] == ("path", visit.domain)]
        keys += sorted((key for key in paths if covers_path(key[2], visit.path)), key=lambda key: -len(key[2]))
        return next((entry for key in keys if (entry := self._alive(key))), None)

    def remember_path(self, visit: Visit, replay: Replay, origin: str) -> bool:
        """Keep what an emitter wants to be kept; false when it is not allowed to."""
        wish = replay.cache
        if not wish or wish.invalidate or not replay.is_cacheable or wish.ttl < SHORTEST_TTL:
            return False
        prefix = path_prefix(wish, visit)
        if prefix is None:
            return False
        self._keep(("path", visit.domain, prefix), replay, origin, wish.ttl, wish.allow_bypass)
        return True

    def remember_session(self, visit: Visit, rules: tuple[SessionRule, ...], replay: Replay, origin: str) -> bool:
        """Keep a replay under the rule that matches; false when none does."""
        found = _session_key(visit, rules)
        if not found or found[1].ttl < SHORTEST_TTL:
            return False
        key, rule = found
        self._keep(key, replay, origin, rule.ttl, rule.allow_bypass)
        return True

    def forget(self, entry: Entry) -> None:
        """Drop one."""
        self._entries.pop(entry.key, None)

    def clear(self) -> None:
        """Drop all."""
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)

    def _keep(self, key: Key, replay: Replay, origin: str, ttl: float, allow_bypass: bool) -> None:
        until = self.clock() + min(ttl, self.longest_ttl)
        self._entries[key] = Entry(key, replay, origin, until, allow_bypass)

    def _alive(self, key: Key) -> Entry | None:
        entry = self._entries.get(key)
        if entry and (entry.until <= self.clock() or self.loses()):
            del self._entries[key]
            return None
        return entry


def path_prefix(wish: CacheWish, visit: Visit) -> str | None:
    """The prefix without its tail and host; None when it does not match the request that it came with."""
    host, slash, path = wish.prefix.removesuffix("*").partition("/")
    if not slash or (host and host.lower() != visit.domain):
        return None
    prefix = f"/{path}"
    return prefix if covers_path(prefix, visit.path) else None


def covers_path(prefix: str, path: str) -> bool:
    """Is a path the prefix, or below it?"""
    bare = prefix.rstrip("/")
    return path == bare or path.startswith(f"{bare}/")


def _session_key(visit: Visit, rules: tuple[SessionRule, ...]) -> tuple[Key, SessionRule] | None:
    matching = [each for each in rules if covers_path(each.path_prefix, visit.path) and each.value(visit.headers)]
    if not matching:
        return None
    rule = max(matching, key=lambda each: len(each.path_prefix))
    return ("session", visit.domain, rule.path_prefix, rule.kind, rule.name, rule.value(visit.headers)), rule
