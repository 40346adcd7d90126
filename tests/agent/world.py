"""A small world for one tenant: it carries out the lifecycle's commands, and lets happen what may happen then."""

from __future__ import annotations

from dataclasses import dataclass

from atcgen.agent import lifecycle as life
from atcgen.agent.lifecycle import State, Tenant, step


@dataclass
class Process:
    """A process in a slot, and what it was asked to do."""

    launch: int  # which launch script it was started from
    probed: bool = False  # somebody waits for its first answer
    told_to_end: bool = False


class World:
    """Processes, the link nginx follows, and the requests that are held."""

    def __init__(self, *, slots: int, prepares: bool, pinned: bool = False) -> None:
        self.tenant = Tenant("a", slots=slots, prepares=prepares, pinned=pinned)
        self.now = 100.0
        self.launch = 0
        self.processes: dict[int, Process] = {}
        self.linked: int | None = None
        self.preparing = False
        self.draining: int | None = None
        self.held = 0
        self.started_twice: list[int] = []
        self.most_processes = 0
        self.story: list[str] = []

    def feed(self, event: life.Event) -> None:
        """Something happened; do what follows."""
        before = self.tenant.state
        self.tenant, commands = step(self.tenant, event)
        self.story.append(f"{before} + {event} -> {self.tenant.state}, {', '.join(map(str, commands))}")
        for command in commands:
            self._run(command)

    def _run(self, command: life.Command) -> None:
        match command:
            case life.Prepare():
                self.preparing = True
            case life.Start(slot):
                self._start(slot)
            case life.Link(slot):
                self.linked = slot
            case life.Unlink():
                self.linked = None
            case life.Drain(slot):
                self.draining = slot
            case life.Stop(slot):
                self.preparing = False
                if slot in self.processes:
                    self.processes[slot].told_to_end = True
                    self.processes[slot].probed = False
                else:
                    self.feed(life.Exited(self.now, slot, "was down"))
            case life.Retire(slot):
                if slot in self.processes:
                    self.processes[slot].told_to_end = True
            case life.Admit() | life.Refuse():
                self.held = 0

    def _start(self, slot: int) -> None:
        assert not self.tenant.held, "its program is being replaced"
        if slot in self.processes:  # supervisord leaves it as it is, and says so
            self.started_twice.append(slot)
            self.processes[slot].probed = True
        else:
            self.processes[slot] = Process(self.launch, probed=True)
        self.most_processes = max(self.most_processes, len(self.processes))

    # What may happen

    def request(self, *, forced: bool = False) -> None:
        """Somebody found nobody on the socket."""
        self.held += 1
        self.feed(life.Requested(self.now, forced))

    def change(self, *, hold: bool = False) -> None:
        """The launch script changed, and the agent heard of it."""
        self.launch += 1
        self.feed(life.RestartAsked(self.now, hold))

    def replace(self) -> None:
        """Its program is about to be replaced."""
        self.feed(life.StopAsked(self.now, hold=True))

    def replaced(self) -> None:
        """Its program was replaced, which is done once it is down."""
        self.feed(life.Released(self.now))

    def prepared(self, *, well: bool) -> None:
        """The prepare step ended."""
        self.preparing = False
        if well:
            self.feed(life.Prepared(self.now))
        else:
            self.feed(life.Faulted(self.now, self.tenant.slot, "prepare failed"))

    def answer(self, slot: int) -> None:
        """The process in a slot answers its probe."""
        self.processes[slot].probed = False
        self.feed(life.Probed(self.now, slot))

    def give_up(self, slot: int) -> None:
        """The process in a slot took too long to answer; it lives on."""
        self.processes[slot].probed = False
        self.feed(life.Faulted(self.now, slot, "no answer"))

    def end(self, slot: int) -> None:
        """The process in a slot ends, asked or by itself."""
        del self.processes[slot]
        self.feed(life.Exited(self.now, slot, "exit 1"))

    def drained(self) -> None:
        """The last connection of the slot that drains is closed."""
        slot, self.draining = self.draining, None
        if self.tenant.state is State.DRAINING and self.tenant.slot == slot:
            self.feed(life.Drained(self.now))

    def finish(self) -> None:
        """Let everything that was begun come to its end."""
        for _ in range(50):
            if self.preparing:
                self.prepared(well=True)
            elif self.draining is not None:
                self.drained()
            elif ending := [slot for slot, each in self.processes.items() if each.told_to_end]:
                self.end(ending[0])
            elif booting := [slot for slot, each in self.processes.items() if each.probed]:
                self.answer(booting[0])
            elif self.tenant.held:
                self.replaced()
            else:
                return
        raise AssertionError("it never comes to rest:\n" + "\n".join(self.story[-20:]))
