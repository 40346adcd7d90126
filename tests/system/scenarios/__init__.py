"""What happens to machines that share a store while somebody writes: once each in the tests, often in the benchmark."""

from __future__ import annotations

from tests.system.machines import Settings
from tests.system.scenarios import endings, stores, together
from tests.system.scenarios.base import SYNC, Scenario

_SUDDEN = SYNC + 0.6

ALL = (
    Scenario("atc stop, then elsewhere", endings.stop_and_move),
    Scenario("SIGTERM of the machine", endings.end_of_the_machine),
    Scenario("asleep, then destroyed", endings.idle_then_destroyed, settings=Settings(idle="1s")),
    Scenario("there and back", endings.there_and_back),
    Scenario("application killed", endings.application_killed),
    Scenario("application killed, then destroyed", endings.application_killed_then_destroyed, _SUDDEN),
    Scenario("litestream killed", endings.litestream_killed),
    Scenario("agent killed", endings.agent_killed),
    Scenario("everything killed, elsewhere", endings.everything_killed, _SUDDEN),
    Scenario("everything killed, same machine", endings.everything_killed_same_again),
    Scenario("both machines at once", together.both_at_once),
    Scenario("asleep, suspended, then destroyed", together.asleep_and_suspended, settings=Settings(idle="1s")),
    Scenario("suspended, then destroyed", together.suspended_then_destroyed, _SUDDEN),
    Scenario("suspended, taken over, resumed", together.suspended_and_resumed, _SUDDEN),
    Scenario("store away for a while", stores.away, settings=Settings(lease="20s")),
    Scenario("store away for a minute", stores.away_for_a_minute, settings=Settings(lease="4m"), is_long=True),
    Scenario("disk of the store unmounted for a while", stores.unmounted, settings=Settings(lease="9s")),
    Scenario("store away for longer than the lease", stores.away_for_longer_than_the_lease),
    Scenario("store away at the stop", stores.away_at_the_stop, settings=Settings(lease="1m")),
    Scenario("store away at the stop, for longer than the lease", stores.away_at_the_stop_for_long),
    Scenario("disk full at the restore", stores.no_room),
    Scenario("an object truncated", stores.truncated),
    Scenario("an object missing", stores.missing),
    Scenario("every object missing", stores.everything_missing),
    Scenario("wrong keys", stores.wrong_keys, settings=Settings(s3=True)),
)
