"""The steps from what there is to what there should be. Each is a value, and says in a sentence what it does."""

from __future__ import annotations

from dataclasses import dataclass

from atcgen.compiler.machines import MachinePlan


@dataclass(frozen=True)
class CreateVolume:
    """Make a disk, before the machine, so that they are on one host."""

    plan: MachinePlan
    name: str

    def __str__(self) -> str:
        return f"+ volume {self.name} in {self.plan.region}, {self.plan.volume_gb} GB, for {self.plan.key}"


@dataclass(frozen=True)
class CreateMachine:
    """Make a machine on the disk of that name."""

    plan: MachinePlan
    name: str
    volume: str  # its name
    image: str

    def __str__(self) -> str:
        plan = self.plan
        return f"+ machine {self.name} in {plan.region}, {plan.guest}, {self.image}, for {plan.key}"


@dataclass(frozen=True)
class ExtendVolume:
    """Make a disk larger."""

    plan: MachinePlan
    volume: str
    old_gb: int

    def __str__(self) -> str:
        return f"~ volume {self.volume}: {self.old_gb} GB becomes {self.plan.volume_gb} GB"


@dataclass(frozen=True)
class UpdateMachine:
    """Replace the configuration of a machine; it restarts, or sleeps on."""

    plan: MachinePlan
    machine: str
    image: str
    changes: tuple[str, ...]

    def __str__(self) -> str:
        return f"~ machine {self.machine} of {self.plan.key}: {', '.join(self.changes)}"


@dataclass(frozen=True)
class NoteInstances:
    """Write into atc.yml which machine a user has, and publish it."""

    instances: tuple[tuple[str, str], ...]  # user and machine

    def __str__(self) -> str:
        return "\n".join(f"~ atc.yml: {user} is on machine {machine}" for user, machine in self.instances)


@dataclass(frozen=True)
class DestroyMachine:
    """Stop a machine that nobody needs, once it gave back its tenants, and end it for good."""

    machine: str
    region: str
    user: str

    def __str__(self) -> str:
        return f"- machine {self.machine} in {self.region}" + (f" of {self.user}" if self.user else "")


@dataclass(frozen=True)
class DestroyVolume:
    """Delete a disk that no machine has."""

    volume: str
    name: str
    region: str
    size_gb: int
    machine: str  # which had it; '' when none did

    def __str__(self) -> str:
        return f"- volume {self.volume} ({self.name}) in {self.region}, {self.size_gb} GB, and what is on it"


Step = CreateVolume | CreateMachine | ExtendVolume | UpdateMachine | NoteInstances | DestroyMachine | DestroyVolume
Destroying = DestroyMachine | DestroyVolume


def subject(step: Step) -> str:
    """What a step is about: when it cannot be done, later ones about the same are not tried."""
    if isinstance(step, NoteInstances):
        return "atc.yml"
    if isinstance(step, DestroyMachine):
        return step.machine
    if isinstance(step, DestroyVolume):
        return step.machine or step.volume
    return step.plan.key
