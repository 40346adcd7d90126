"""Does the steps, one at a time. After each the difference is taken anew, so that nothing is done twice.

It may be killed anywhere: whatever it made is found again by its name and its metadata.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from atcgen.compiler.targets.fly_shape import Shape
from atcgen.errors import AtcError
from atcgen.provision.existing import Existing, Machine, read_existing, read_machine, read_volume
from atcgen.provision.planner import SHARED_VOLUME, Wanted, difference, free_volume, user_volume
from atcgen.provision.safety import Safety, Verdict
from atcgen.provision.steps import (
    CreateMachine,
    CreateVolume,
    Destroying,
    DestroyMachine,
    DestroyVolume,
    ExtendVolume,
    NoteInstances,
    Step,
    UpdateMachine,
    subject,
)
from atcgen.system.fly import Fly, FlyError, Held, NotFound, Unsure

_LOOK = 5.0  # seconds between two looks at a machine that stops
_LOOKS = 5  # in a row, before it is given up
_ENDS = 20  # times that a machine is stopped, if requests start it again
_START = 180.0  # seconds for a machine to start
_RUNS = ("starting", "started")
_SETTLED = ("started", "stopped", "suspended")


class Book(Protocol):
    """atc.yml: what it wants, and where instances are noted."""

    def wanted(self) -> Wanted:
        """As the file says now, with what is about to be written."""

    def note(self, instances: tuple[tuple[str, str], ...]) -> None:
        """Write users' machines, and publish the file."""


class Refused(AtcError):
    """The data of a machine may not go yet."""


@dataclass
class Executor:
    """The hands of `atc fleet apply`."""

    fly: Fly
    book: Book
    safety: Safety
    say: Callable[[str], None]
    grace: float = 30.0  # seconds between a new atc.yml and the end of a machine that it does not name
    patience: float = 300.0  # seconds for a machine to give its tenants back
    lease: float = 0  # seconds; 0 is what an update may take
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    failed: dict[str, AtcError] = field(default_factory=dict)  # by the subject of the step

    def look(self) -> Existing:
        """What there is."""
        return read_existing(self.fly.machines(), self.fly.volumes())

    def run(self) -> int:
        """Until nothing is left to do that can be done; how many steps were."""
        existing, done, unsure, waited = self.look(), [], 0, False
        while step := self._next(existing):
            if isinstance(step, Destroying) and not waited:
                self.pause(self.grace)
                waited = True
            try:
                if step in done:
                    raise FlyError(f"it was done, and there is no trace of it: {step}")
                self.say(str(step))
                existing, unsure = self._perform(step, existing), 0
                done.append(step)
            except Unsure as problem:
                unsure += 1
                if unsure == _LOOKS:
                    raise
                self.say(f"  not sure whether it was done, looking again: {problem}")
                self.pause(min(8.0, 2.0**unsure / 2))
                existing = self.look()
            except (FlyError, Refused) as problem:
                self.failed[subject(step)] = problem
                self.say(f"  not done: {problem}")
        return len(done)

    def _next(self, existing: Existing) -> Step | None:
        """The first step that can be tried. When something could not be made, nothing is destroyed."""
        for step in difference(self.book.wanted(), existing):
            if isinstance(step, Destroying) and any(not isinstance(each, Refused) for each in self.failed.values()):
                return None
            if subject(step) not in self.failed:
                return step
        return None

    def _perform(self, step: Step, existing: Existing) -> Existing:
        match step:
            case CreateVolume():
                return self._create_volume(step, existing)
            case CreateMachine():
                return self._create_machine(step, existing)
            case ExtendVolume():
                self.fly.extend_volume(step.volume, step.plan.volume_gb)
                return self.look()
            case UpdateMachine():
                return existing.with_machine(self._update(step))
            case NoteInstances():
                return self._note(step, existing)
            case DestroyMachine():
                self._destroy(step)
                return existing.without_machine(step.machine)
            case DestroyVolume():
                return self._destroy_volume(step, existing)

    def _create_volume(self, step: CreateVolume, existing: Existing) -> Existing:
        guest = step.plan.guest
        compute = {"cpu_kind": guest.kind, "cpus": guest.cpus, "memory_mb": guest.memory_mb}
        made = self.fly.create_volume(step.name, step.plan.region, step.plan.volume_gb, compute)
        return existing.with_volume(read_volume(made))

    def _create_machine(self, step: CreateMachine, existing: Existing) -> Existing:
        volume = free_volume(step, existing)
        config = self.book.wanted().shape.machine_config(step.plan, step.image, volume.id)
        made = self.fly.create_machine(step.name, step.plan.region, config)
        fresh = read_machine({**made, "config": config})
        self._await_start(fresh)
        return existing.with_machine(replace(fresh, state="started"))

    def _await_start(self, machine: Machine) -> None:
        if not self.fly.wait(machine.id, "started", machine.version, _START):
            raise FlyError(f"machine {machine.id} did not start within {_START:g} s", hint="fly logs says why")

    def _update(self, step: UpdateMachine) -> Machine:
        with self._held(step.machine) as lease:
            said = self.fly.machine(step.machine)
            old = read_machine(said)
            config = self.book.wanted().shape.machine_config(step.plan, step.image, old.volume)
            metadata = {**said["config"].get("metadata", {}), **config["metadata"]}
            whole = {**said["config"], **config, "metadata": metadata}
            made = self.fly.update_machine(old.id, whole, old.version, lease, start=not old.is_asleep)
            fresh = read_machine({**made, "config": whole})
            if not old.is_asleep:
                self._await_start(fresh)
        return fresh

    def _note(self, step: NoteInstances, existing: Existing) -> Existing:
        for _, name in step.instances:
            machine = read_machine(self.fly.machine(name))
            if machine.state not in _SETTLED:
                self.fly.start(name)
                self._await_start(machine)
        self.book.note(step.instances)
        return existing

    @contextmanager
    def _held(self, machine: str) -> Iterator[str]:
        seconds = self.lease or self.book.wanted().shape.kill_timeout + 120
        with ExitStack() as stack:
            try:
                lease = stack.enter_context(self.fly.lease(machine, seconds))
            except Held:
                self.say(f"  somebody else works on {machine}, or was killed at it: waiting up to {seconds:g} s")
                lease = stack.enter_context(self.fly.lease(machine, seconds, patience=seconds + 5))
            yield lease

    # the end of machines

    def _destroy(self, step: DestroyMachine) -> None:
        """It gave its tenants back, and it stopped. The API refuses when a request starts it again meanwhile."""
        try:
            self._await_release(step)
            with self._held(step.machine) as lease:
                for _ in range(_ENDS - 1):
                    if self._end(step, lease):
                        return
                    self.say(f"  a request started {step.machine} meanwhile: stopping it again")
                self._stop_and_destroy(step, lease)
        except NotFound:
            return

    def _end(self, step: DestroyMachine, lease: str) -> bool:
        """False when it runs again."""
        try:
            self._stop_and_destroy(step, lease)
        except FlyError as problem:
            if isinstance(problem, Unsure) or read_machine(self.fly.machine(step.machine)).state not in _RUNS:
                raise
            return False
        return True

    def _stop_and_destroy(self, step: DestroyMachine, lease: str) -> None:
        self._stop(step.machine, lease)
        verdict = self.safety.of_machine(step.machine, step.user)
        if not verdict.is_safe:
            raise _refused(step.machine, verdict)
        self.fly.destroy(step.machine, lease)

    def _stop(self, machine: str, lease: str) -> None:
        found = read_machine(self.fly.machine(machine))
        if found.state in ("stopped", "created"):
            return
        seconds = self.book.wanted().shape.kill_timeout
        self.fly.stop(machine, lease, seconds)
        deadline = self.clock() + seconds + 60
        while not self.fly.wait(machine, "stopped", found.version, _LOOK):
            state = read_machine(self.fly.machine(machine)).state
            if state in _RUNS or self.clock() >= deadline:  # it had stopped, and a request came, or it goes on
                raise FlyError(f"machine {machine} did not stop: it is {state}")

    def _await_release(self, step: DestroyMachine) -> None:
        """A machine that reads that its tenants are elsewhere lets them go; one that sleeps is woken to read it."""
        deadline = self.clock() + self.patience
        while not (verdict := self.safety.of_machine(step.machine, step.user)).is_safe:
            if verdict.unsaved or self.clock() >= deadline:
                raise _refused(step.machine, verdict)
            if read_machine(self.fly.machine(step.machine)).is_asleep:
                self.fly.start(step.machine)
            self.say(f"  {step.machine} still has {', '.join(verdict.held)}")
            self.pause(2.0)

    def _destroy_volume(self, step: DestroyVolume, existing: Existing) -> Existing:
        shape = self.book.wanted().shape
        verdict = self.safety.of_volume(self._user_of(step.name, shape), (each.id for each in existing.machines))
        if not verdict.is_safe:
            raise _refused(step.volume, verdict)
        self.fly.delete_volume(step.volume)
        return existing.without_volume(step.volume)

    def _user_of(self, name: str, shape: Shape) -> str | None:
        """Whose disk has that name: '' when several share it, None when nobody knows whose it was."""
        if name.startswith(SHARED_VOLUME):
            return ""
        return next((user for user in self.safety.users() if user_volume(shape, user) == name), None)


def _refused(name: str, verdict: Verdict) -> Refused:
    reasons = [f"it still has {', '.join(verdict.held)}"] if verdict.held else []
    reasons += verdict.unsaved
    hint = "" if verdict.held else "--discard-data destroys it all the same"
    return Refused(f"{name} stays: {'; '.join(reasons)}", hint=hint)
