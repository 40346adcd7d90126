"""What nobody outside knows of the platform, and how long things take: every assumption is a field here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Unknowns:
    """Assumptions where the documentation is silent or contradicts itself; the defaults are the hard ones."""

    # replay
    replay_limit: int = 1_000_000  # bytes of body that can be replayed; 1_048_576 if MB means MiB
    oversize_status: int = 502
    unitless_timeout: bool = False  # is `timeout=1500` legal?
    unquoted_regions: bool = False  # is `region=iad,ord` legal?
    json_limit: int = 65_536  # bytes of a JSON replay
    header_wins: bool = True  # over a JSON body in the same answer; otherwise the body wins
    keeps_cookies: bool = False  # does Set-Cookie of the answer that carries a replay reach the client?
    strips_forged: bool = False  # are fly-replay-* headers of clients removed?
    steering_stays: bool = True  # do steering headers stay on a replayed request?
    steering_acts_on_replay: bool = False  # do they also choose among the machines of the target?
    websocket_replay: bool = True  # otherwise replaying an upgrade is a 502
    replay_after_fallback: Literal["error", "replay"] = "error"

    # caches
    cache_drop: float = 0.1  # how often an entry is lost when it is looked up
    caches_are_shared: bool = False  # one cache for all edges
    cached_target_gone: Literal["error", "origin"] = "error"
    session_cache_is_strict: bool = True  # state, timeout, fallback, transform exclude the session cache, too
    longest_ttl: float = 86_400

    # machines
    cold_resume: float = 0.1  # how often a resume turns out to be a cold start
    resume_breaks_sockets: bool = True  # do connections to outside fail after a resume?
    suspend_cuts_connections: bool = True  # does the proxy drop what is open when a machine is suspended?
    autostart_unset: bool = False  # `autostart` of a service that does not say it
    kill_signal: Literal["SIGINT", "SIGTERM"] = "SIGINT"  # of a machine that does not say it
    after_grace: Literal["SIGKILL", "SIGTERM"] = "SIGKILL"
    unchecked_is_healthy: bool = True  # may a machine have requests before its checks ran?
    stopping_is_retried: bool = False  # does a request wait for a machine that is stopping, and start it then?
    stale_view: float = 0.5  # seconds until an edge learns that the state of a machine changed

    # Machines API
    rate_limits: bool = True
    socket_allows: frozenset[str] = frozenset({"suspend"})  # of its own machine, without a token
    capacity_status: int = 422
    precondition_status: int = 412  # a machine is in a state that does not allow it
    zones_per_region: int = 8  # hosts that can have volumes of the same name, when a unique zone is required

    def calm(self) -> Unknowns:
        """The same without anything that happens at random."""
        return replace(self, cache_drop=0.0, cold_resume=0.0)


@dataclass(frozen=True)
class Tempo:
    """How long things take, in seconds."""

    resume: float = 0.3
    boot: float = 1.5
    tail_chance: float = 0.0  # how often a start takes longer, by `tail`
    tail: float = 10.0
    suspend: float = 1.0
    missing_target: float = 7.5  # how long the proxy looks for a machine that is not there
    connect_tries: int = 90
    connect_window: float = 8.0
    queue: float = 10.0  # how long a request waits for a machine at its hard limit
    autostop_pass: float = 180.0
    soft_cordon: float = 1.0
    recently_stopped: float = 300.0
    shortest_check: float = 1.0  # checks never run more often
    wait_limit: float = 60.0  # of the Machines API

    def scaled(self, factor: float) -> Tempo:
        """All waiting times multiplied; counts and chances stay."""
        return replace(
            self,
            resume=self.resume * factor,
            boot=self.boot * factor,
            tail=self.tail * factor,
            suspend=self.suspend * factor,
            missing_target=self.missing_target * factor,
            connect_window=self.connect_window * factor,
            queue=self.queue * factor,
            autostop_pass=self.autostop_pass * factor,
            soft_cordon=self.soft_cordon * factor,
            shortest_check=self.shortest_check * factor,
        )
