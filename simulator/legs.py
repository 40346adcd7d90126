"""The way of a request from machine to machine: what comes next after a replay, a failure, or a look into a cache."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.caches import Caches, Entry, Visit
from simulator.headers import Arrival, Headers, Request, replay_failed, replay_source
from simulator.landing import NoLanding
from simulator.machine import Machine
from simulator.registry import Registry
from simulator.replay import Replay
from simulator.routing import Wish
from simulator.scope import refusal
from simulator.setting import Setting
from simulator.steering import steering

MOST_REPLAYS = 10


class Failed(Exception):
    """The client gets an answer of the proxy; `code` and the message are for an app's log."""

    def __init__(self, status: int, code: str, app: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.app = app


@dataclass(frozen=True)
class Leg:
    """One step of the way: where to, and what the machine is told."""

    wish: Wish
    reason: str = ""  # '' for the first; cache, replay, fallback
    told: Headers = ()
    emitter: Machine | None = None
    replay: Replay | None = None


@dataclass
class Way:
    """The decisions about one request."""

    request: Request
    arrival: Arrival
    app: str
    visit: Visit
    caches: Caches
    registry: Registry
    setting: Setting
    entry: Entry | None = None
    cache_status: str = ""
    replays: int = 0

    def first(self) -> Leg:
        """Where a cache says, or else to the addressed app."""
        entry = self.caches.look(self.visit, self.registry.session_rules(self.app, self.arrival.port))
        if entry and entry.allow_bypass and self.request.header("fly-replay-cache-control") == "skip":
            self.cache_status = "bypass"
        elif entry:
            self.entry, self.cache_status = entry, "hit"
            wish = self._wish(entry.replay, entry.origin)
            return Leg(wish, "cache", (("fly-replay-cache-status", "hit"),), replay=entry.replay)
        return self.direct()

    def direct(self) -> Leg:
        """To the addressed app, as the client steers it."""
        said = steering(self.request.headers)
        arrival = self.arrival
        return Leg(Wish(self.app, arrival.port, arrival.region, said.regions, said.instance, said.prefer_instance))

    def after_replay(self, leg: Leg, emitter: Machine, replay: Replay) -> Leg:
        """Where an emitter sends the request; `Failed` when it may not."""
        app = emitter.identity.app
        unknowns = self.setting.unknowns
        self.replays += 1
        if leg.reason == "fallback" and unknowns.replay_after_fallback == "error":
            raise Failed(502, "PA03", app, "a request that fell back was replayed again")
        if self.replays > MOST_REPLAYS:
            raise Failed(502, "PA02", app, "more than 10 replays")
        if self.request.is_upgrade and not unknowns.websocket_replay:
            raise Failed(502, "PU02", app, "the upgrade could not be replayed")
        self._check_scope(app, replay)
        self._remember(leg, app, replay)
        source = replay_source(emitter.id, emitter.identity.region, self.arrival.at, replay.state)
        self.cache_status = "bypass" if self.cache_status == "bypass" else "miss"
        told = (("fly-replay-src", source), ("fly-replay-cache-status", self.cache_status))
        excluded = frozenset({emitter.id}) if replay.elsewhere else frozenset[str]()
        wish = self._wish(replay, app, excluded)
        return Leg(wish, "replay", told, emitter, replay)

    def after_failure(self, leg: Leg, failure: NoLanding, elapsed: float) -> Leg:
        """Back to the emitter if it wanted that, or to the origin of a cached replay; else `Failed`."""
        emitter, replay = leg.emitter, leg.replay
        if leg.reason == "cache" and self.entry and self.setting.unknowns.cached_target_gone == "origin":
            self.caches.forget(self.entry)
            self.entry, self.cache_status = None, ""
            return self.direct()
        if not emitter or not replay or not replay.fallback:
            raise self._failed(leg, failure)
        self.setting.log.note(failure.code, emitter.identity.app, str(failure))
        told = replay_failed(
            instance=replay.instance or replay.prefer_instance,
            app=leg.wish.app,
            region=",".join(replay.regions),
            source=emitter.id,
            reason=failure.reason,
            elapsed=elapsed,
        )
        own = emitter.id if replay.fallback == "force_self" else ""
        preferred = "" if own else emitter.id
        wish = Wish(
            emitter.identity.app, self.arrival.port, self.arrival.region, instance=own, prefer_instance=preferred
        )
        return Leg(wish, "fallback", (("fly-replay-failed", told),), emitter)

    def _failed(self, leg: Leg, failure: NoLanding) -> Failed:
        if leg.emitter is None and leg.reason != "cache":
            return Failed(503 if failure.code == "PR04" else 502, failure.code, leg.wish.app, str(failure))
        origin = leg.emitter.identity.app if leg.emitter else self.app
        code = failure.code if leg.wish.app in self.registry.apps else "PA04"
        return Failed(502, code, origin, f"replay to {leg.wish.app}: {failure}")

    def _check_scope(self, app: str, replay: Replay) -> None:
        target = self.registry.apps.get(replay.app or app)
        no = refusal(self.registry.apps[app].place, target.place, self.registry.borders) if target else None
        if no:
            raise Failed(502, no[0], app, no[1])

    def _remember(self, leg: Leg, app: str, replay: Replay) -> None:
        wish = replay.cache
        if wish and wish.invalidate:
            if self.entry and leg.reason == "cache" and replay.app == self.entry.origin:
                self.caches.forget(self.entry)
            return
        if leg.reason == "cache":
            return
        self.caches.remember_path(self.visit, replay, app)
        rules = self.registry.session_rules(app, self.arrival.port)
        if app == self.app and (replay.is_cacheable or not self.setting.unknowns.session_cache_is_strict):
            self.caches.remember_session(self.visit, rules, replay, app)

    def _wish(self, replay: Replay, app: str, excluded: frozenset[str] = frozenset()) -> Wish:
        instance, preferred = replay.instance, replay.prefer_instance
        regions = replay.regions
        if self.setting.unknowns.steering_acts_on_replay:
            said = steering(self.request.headers)
            instance, preferred = said.instance or instance, said.prefer_instance or preferred
            regions = said.regions or regions
        target = replay.app or app
        return Wish(target, self.arrival.port, self.arrival.region, regions, instance, preferred, excluded)
