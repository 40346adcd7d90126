"""The life of the machine in a world where everything happens in any order: whoever comes wins."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from atcgen.agent import machine_life as life
from atcgen.agent.machine_life import Machine, State


class AnyOrder(RuleBasedStateMachine):
    """A machine with its gate, its hooks, its platform and its visitors."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.machine = Machine()
        self.gate_closed = False
        self.at_gate = 0
        self.hooks = ""  # that run: idle or back
        self.unpaired = 0  # idle hooks that were not followed by resume hooks
        self.asked: list[str] = []  # orders without an answer
        self.busy = ""
        self.visitors = 0
        self.is_checked = True  # since time has passed
        self.checking = False

    def feed(self, event: life.Event) -> None:
        self.machine, commands = life.step(self.machine, event)
        for each in commands:
            self.obey(each)

    def obey(self, command: life.Command) -> None:
        match command:
            case life.Settle():
                assert not self.hooks
                self.hooks, self.unpaired = "idle", self.unpaired + 1
            case life.Return(checks, hooks):
                assert not self.hooks
                self.hooks, self.checking = "back", checks
                self.unpaired -= hooks
            case life.CloseGate():
                self.gate_closed = True
            case life.OpenGate():
                assert self.is_checked or not self.at_gate, "somebody would be served without a look"
                self.gate_closed, self.at_gate = False, 0
            case life.Look():
                self.look()
            case life.Order(order):
                assert self.gate_closed
                assert (self.at_gate, self.busy, self.visitors, self.hooks) == (0, "", 0, "")
                self.asked.append(order)

    @rule(seconds=st.sampled_from([0.5, 1.0, 61.0, 301.0]))
    def time_passes(self, seconds: float) -> None:
        """And it looks."""
        self.now += seconds
        self.look()

    def look(self) -> None:
        """What the shell sees."""
        used = self.now if self.visitors > 1 else 0.0
        self.feed(life.Looked(self.now, 300.0, "suspend", self.busy, self.visitors, used))

    @rule(busy=st.sampled_from(["", "", "a/x is ready"]), visitors=st.sampled_from([0, 0, 1, 2]))
    def the_world_changes(self, busy: str, visitors: int) -> None:
        """Tenants wake only through the gate."""
        self.busy, self.visitors = ("" if self.gate_closed else busy), visitors

    @rule()
    def request(self) -> None:
        """Somebody comes; who finds the gate open needs nobody."""
        if self.gate_closed:
            self.at_gate += 1
            self.feed(life.Requested(self.now))

    @rule()
    def stands_still(self) -> None:
        """The platform does it, asked or not, and the agent learns of it in time or not."""
        self.is_checked = False
        self.now += 10_000.0
        self.feed(life.Resumed(self.now))

    @precondition(lambda self: self.hooks == "idle")
    @rule(problem=st.sampled_from(["", "", "failed"]))
    def settled(self, problem: str) -> None:
        """The idle hooks end."""
        self.hooks = ""
        self.feed(life.Settled(self.now, problem))

    @precondition(lambda self: self.hooks == "back")
    @rule()
    def returned(self) -> None:
        """Checks and hooks end."""
        self.hooks = ""
        self.is_checked = self.is_checked or (self.checking and not self.machine.is_stale)
        self.feed(life.Returned(self.now))

    @precondition(lambda self: self.asked)
    @rule(answer=st.sampled_from(["yes", "not now", "never"]))
    def answered(self, answer: str) -> None:
        """By the platform, be it late."""
        order = self.asked.pop(0)
        if answer == "yes":
            self.feed(life.Accepted(self.now))
        else:
            self.feed(life.Refused(self.now, order, answer, for_good=answer == "never"))

    @invariant()
    def it_knows_its_gate(self) -> None:
        """And who waits at it is on the way in."""
        assert self.machine.is_gated == self.gate_closed
        assert not self.at_gate or self.machine.state is State.RETURNING
        assert self.unpaired in (0, 1)
        assert self.unpaired == 0 or self.machine.state in (State.SETTLING, State.FENCED, State.ASLEEP)

    def teardown(self) -> None:
        """Whoever waits is let in when what runs is over."""
        self.busy, self.visitors = "", 0
        self.request()
        for _ in range(5):
            if self.hooks:
                self._end_hooks()
        assert not self.at_gate

    def _end_hooks(self) -> None:
        kind, self.hooks = self.hooks, ""
        if kind == "back":
            self.is_checked = self.is_checked or (self.checking and not self.machine.is_stale)
        self.feed(life.Settled(self.now) if kind == "idle" else life.Returned(self.now))


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=300, stateful_step_count=40)
