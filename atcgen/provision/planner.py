"""The difference between the machines that are wanted and those that exist, as steps. No effects.

A machine is known by what it carries: the id that atc.yml names, or else the user in its metadata and its region. A
disk carries nothing but its name, which follows from the same. So whatever was made is found again, also when nobody
noted it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from atcgen.compiler.machines import MachinePlan
from atcgen.compiler.targets.fly_shape import Shape
from atcgen.errors import Unavailable
from atcgen.provision.existing import Existing, Machine, Volume
from atcgen.provision.steps import (
    CreateMachine,
    CreateVolume,
    DestroyMachine,
    DestroyVolume,
    ExtendVolume,
    NoteInstances,
    Step,
    UpdateMachine,
)

SHARED_VOLUME = "atc_in_"  # begins the names of disks that several users share
_VOLUME = re.compile(r"atc_[a-z0-9_]*_[0-9a-f]{8}")


@dataclass(frozen=True)
class Wanted:
    """All machines that should be there."""

    shape: Shape
    machines: tuple[MachinePlan, ...]
    named: frozenset[str] = frozenset()  # machines that atc.yml names somewhere; they stay


def machine_name(shape: Shape, plan: MachinePlan) -> str:
    """The name of a machine; the same each time."""
    return f"atc-{_slug(plan.user or 'shared', '-')}-{plan.region}-{_digest(shape.app, plan.key)}"


def volume_name(shape: Shape, plan: MachinePlan) -> str:
    """The name of its disk: at most thirty of a-z, 0-9 and '_'."""
    if not plan.user:
        return f"{SHARED_VOLUME}{_slug(plan.region, '_')}_{_digest(shape.app, plan.key)}"
    return user_volume(shape, plan.user)


def user_volume(shape: Shape, user: str) -> str:
    """The name of the disk of a user's own machine, in any region."""
    return f"atc_of_{_slug(user, '_')}_{_digest(shape.app, f'user {user}')}"


def _slug(text: str, between: str) -> str:
    return re.sub(r"[^a-z0-9]+", between, text.lower()).strip(between)[:14]


def _digest(app: str, key: str) -> str:
    return hashlib.sha256(f"{app}\0{key}".encode()).hexdigest()[:8]


def difference(wanted: Wanted, existing: Existing) -> tuple[Step, ...]:
    """What has to be done, in this order: first what is missing, then atc.yml, then what is too much."""
    found = {plan.key: _found(plan, existing, wanted) for plan in wanted.machines}
    steps = [step for plan in wanted.machines for step in _needed(plan, found[plan.key], wanted, existing)]
    noted = [(plan, found[plan.key]) for plan in wanted.machines if plan.user]
    missing = tuple((plan.user, machine.id) for plan, machine in noted if machine and machine.id != plan.instance)
    if missing:
        steps.append(NoteInstances(missing))
    used = {machine.id for machine in found.values() if machine}
    return (*steps, *_superfluous(wanted, existing, used))


def image_of(plan: MachinePlan, wanted: Wanted, existing: Existing) -> str:
    """What a machine runs: what atc.yml says, or what `fly deploy` gave the others, or what most of ours have."""
    if plan.image or wanted.shape.image:
        return plan.image or wanted.shape.image
    deployed = [each.image for each in existing.machines if each.fleet != wanted.shape.app and each.image]
    images = deployed or [each.image for each in existing.machines if each.image]
    if not images:
        hint = "fleet.machine.image says it, or `fly deploy` makes a first machine"
        raise Unavailable(f"nothing says which image the machine of {plan.key} runs", hint=hint)
    return max(images, key=lambda each: (images.count(each), each))


def _found(plan: MachinePlan, existing: Existing, wanted: Wanted) -> Machine | None:
    """The machine of a plan. In another region it is not: then the user moves."""
    here = [each for each in existing.machines if plan.region in ("", each.region)]
    named = [each for each in here if plan.instance and each.id == plan.instance]
    ours = [each for each in here if each.fleet == wanted.shape.app]
    if plan.user:
        ours = [each for each in ours if each.user == plan.user and each.id not in wanted.named - {plan.instance}]
    else:
        strangers = [each for each in here if each.fleet != wanted.shape.app]  # of `fly deploy`, for instance
        ours = [each for each in ours if each.shared_by == plan.region] or strangers
    name = machine_name(wanted.shape, plan)
    return next(iter(named or sorted(ours, key=lambda each: (each.name != name, each.id))), None)


def _needed(plan: MachinePlan, found: Machine | None, wanted: Wanted, existing: Existing) -> Iterator[Step]:
    if found is None:
        if not plan.region:
            raise Unavailable(f"there is no machine {plan.instance}", hint=f"say in which region {plan.user} is")
        name = volume_name(wanted.shape, plan)
        if _free_volume(name, plan.region, existing) is None:
            yield CreateVolume(plan, name)
        yield CreateMachine(plan, machine_name(wanted.shape, plan), name, image_of(plan, wanted, existing))
    elif found.fleet == wanted.shape.app:
        volume = next((each for each in existing.volumes if each.id == found.volume), None)
        if volume and volume.size_gb < plan.volume_gb:
            yield ExtendVolume(plan, volume.id, volume.size_gb)
        image = image_of(plan, wanted, existing)
        changes = tuple(_changes(plan, found, image, wanted.shape))
        if changes:
            yield UpdateMachine(plan, found.id, image, changes)


def _changes(plan: MachinePlan, found: Machine, image: str, shape: Shape) -> Iterator[str]:
    if found.guest != plan.guest:
        yield f"{found.guest} becomes {plan.guest}"
    if _plain(found.image) != _plain(image):
        yield f"{found.image} becomes {image}"
    if found.digest != shape.digest(plan) and found.guest == plan.guest:
        yield "what it serves, and how it stops"


def _plain(image: str) -> str:
    """Without the digest that the API may add to a tag."""
    name, _, digest = image.partition("@")
    return name if digest and ":" in name.rpartition("/")[2] else image


def _superfluous(wanted: Wanted, existing: Existing, used: set[str]) -> Iterator[Step]:
    ours = [each for each in existing.machines if each.fleet == wanted.shape.app]
    going = [each for each in ours if each.id not in used | wanted.named]
    for machine in going:
        yield DestroyMachine(machine.id, machine.region, machine.user)
    gone = {each.id for each in going}
    missing = [plan for plan in wanted.machines if _found(plan, existing, wanted) is None]
    free = [_free_volume(volume_name(wanted.shape, each), each.region, existing) for each in missing]
    for volume in existing.volumes:
        is_left = not volume.machine and _VOLUME.fullmatch(volume.name) and volume not in free
        if volume.machine in gone or is_left:
            yield DestroyVolume(volume.id, volume.name, volume.region, volume.size_gb, volume.machine)


def _free_volume(name: str, region: str, existing: Existing) -> Volume | None:
    """The disk of that name which no machine has."""
    free = [each for each in existing.volumes if (each.name, each.region, each.machine) == (name, region, "")]
    return min(free, key=lambda each: each.id, default=None)


def free_volume(step: CreateMachine, existing: Existing) -> Volume:
    """The disk on which a machine is about to be made."""
    found = _free_volume(step.volume, step.plan.region, existing)
    assert found, "the step before makes it"
    return found


def too_large(wanted: Wanted, existing: Existing) -> Sequence[str]:
    """Disks that should be smaller, which no disk can become."""
    said = []
    for plan in wanted.machines:
        machine = _found(plan, existing, wanted)
        volume = next((each for each in existing.volumes if machine and each.id == machine.volume), None)
        if volume and machine and machine.fleet == wanted.shape.app and volume.size_gb > plan.volume_gb:
            said.append(f"volume {volume.id} of {plan.key} stays at {volume.size_gb} GB: none can shrink")
    return said
