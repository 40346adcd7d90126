"""The life of a tenant in a world where everything happens in any order."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from atcgen.agent import lifecycle as life
from atcgen.agent.lifecycle import State
from tests.agent.world import World

_UNDER_WAY = frozenset({State.PREPARING, State.STARTING, State.DRAINING, State.STOPPING})
_LONGEST_WAIT = life.LONGEST_BACKOFF


class AnyOrder(RuleBasedStateMachine):
    """What holds after every event, and once everything has come to its end."""

    world: World

    @initialize(
        slots=st.sampled_from([2, 2, 1]),
        prepares=st.booleans(),
        pinned=st.booleans(),
        begins=st.sampled_from(["stopped", "ready", "switching", "draining"]),
    )
    def begin(self, slots: int, prepares: bool, pinned: bool, begins: str) -> None:
        """A tenant that has come some way, so that what is rare is seen as often as what is common."""
        self.world = World(slots=slots, prepares=prepares, pinned=pinned)
        if begins != "stopped":
            self.world.request()
            self.world.finish()
        if begins == "switching":
            self.world.change()
        if begins == "draining":
            self.world.feed(life.StopAsked(self.world.now))

    @rule(seconds=st.sampled_from([0.1, 1.0, 2.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        """Short enough for a crash to count, or long enough for a backoff to end."""
        self.world.now += seconds

    @rule(forced=st.booleans())
    def request(self, forced: bool) -> None:
        """Somebody wants it."""
        self.world.request(forced=forced)

    @precondition(lambda self: self.world.tenant.state is not State.STOPPED)
    @rule()
    def stop(self) -> None:
        """Nobody wants it any more."""
        self.world.feed(life.StopAsked(self.world.now))

    @precondition(lambda self: self.world.tenant.state is not State.STOPPED)
    @rule(hold=st.booleans())
    def change(self, hold: bool) -> None:
        """Its launch changes."""
        self.world.change(hold=hold)

    @precondition(lambda self: not self.world.tenant.held and not self.world.tenant.wanted)
    @rule()
    def replace(self) -> None:
        """Its entry in supervisord's configuration changes."""
        self.world.replace()

    @precondition(lambda self: self.world.tenant.held and self.world.tenant.state is State.STOPPED)
    @rule()
    def replaced(self) -> None:
        """The new entry is there."""
        self.world.replaced()

    @precondition(lambda self: self.world.preparing)
    @rule(well=st.booleans())
    def prepared(self, well: bool) -> None:
        """Its migrations end."""
        self.world.prepared(well=well)

    @rule()
    def everything_ends_well(self) -> None:
        """Nothing happens for a while."""
        self.world.finish()

    @precondition(lambda self: self.world.draining is not None)
    @rule()
    def drained(self) -> None:
        """Its last connection is closed."""
        self.world.drained()

    @precondition(lambda self: self.world.processes)
    @rule(data=st.data())
    def process_ends(self, data: st.DataObject) -> None:
        """Any process may end at any time."""
        self.world.end(data.draw(st.sampled_from(sorted(self.world.processes))))

    @precondition(lambda self: any(each.probed for each in self.world.processes.values()))
    @rule(data=st.data(), well=st.booleans())
    def probe_ends(self, data: st.DataObject, well: bool) -> None:
        """A process that boots answers, or takes too long."""
        probed = sorted(slot for slot, each in self.world.processes.items() if each.probed)
        slot = data.draw(st.sampled_from(probed))
        if well:
            self.world.answer(slot)
        else:
            self.world.give_up(slot)

    @invariant()
    def linked_exactly_while_ready(self) -> None:
        """nginx finds a process when it is ready, and only then."""
        tenant = self.world.tenant
        ready = tenant.state in (State.READY, State.SWITCHING)
        assert ready == (self.world.linked is not None)
        assert self.world.linked is None or self.world.linked in self.world.processes
        if tenant.state is State.READY:
            assert self.world.linked == tenant.slot
        if tenant.state is State.SWITCHING:
            assert self.world.linked != tenant.slot

    @invariant()
    def requests_are_held_only_while_something_is_under_way(self) -> None:
        """Nobody waits for a tenant that does nothing."""
        tenant = self.world.tenant
        assert not self.world.held or tenant.state in _UNDER_WAY or tenant.held

    @invariant()
    def a_failure_has_a_reason_and_an_end(self) -> None:
        """People are told why, and when it is tried again."""
        tenant = self.world.tenant
        if tenant.state is State.FAILED:
            assert tenant.reason
            assert tenant.retry_at - self.world.now <= _LONGEST_WAIT

    @invariant()
    def one_slot_has_one_process(self) -> None:
        """A tenant that cannot overlap never has two processes."""
        assert self.world.tenant.slots > 1 or self.world.most_processes <= 1

    @invariant()
    def it_knows_its_slots(self) -> None:
        """The slot is one it has."""
        assert 0 <= self.world.tenant.slot < self.world.tenant.slots

    def teardown(self) -> None:
        """Everything comes to rest: nobody is held, and a stop stops."""
        if not hasattr(self, "world"):
            return
        self.world.finish()
        assert not self.world.held
        tenant = self.world.tenant
        assert tenant.state in (State.STOPPED, State.READY, State.FAILED)
        assert list(self.world.processes) == ([tenant.slot] if tenant.state is State.READY else [])
        self.world.feed(life.StopAsked(self.world.now))
        self.world.finish()
        assert self.world.tenant.state is State.STOPPED
        assert not self.world.held
        assert not self.world.processes


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=200, stateful_step_count=30)
