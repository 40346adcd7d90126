"""What there is: machines and volumes as the Machines API lists them, frozen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from atcgen.compiler.machines import Guest
from atcgen.compiler.targets.fly_shape import DIGEST, FLEET, REGION, USER

_GONE = {"destroyed", "destroying", "replaced", "replacing", "migrated"}
ASLEEP = {"created", "stopped", "suspended"}


@dataclass(frozen=True)
class Machine:
    """A machine that exists."""

    id: str
    name: str
    region: str
    state: str
    version: str
    guest: Guest
    image: str
    volume: str  # its id; '' for none
    fleet: str = ""  # whose atc made it; '' when none did
    user: str = ""
    shared_by: str = ""  # the region whose users share it
    digest: str = ""

    @property
    def is_asleep(self) -> bool:
        """Does it have to be started first?"""
        return self.state in ASLEEP


@dataclass(frozen=True)
class Volume:
    """A disk that exists."""

    id: str
    name: str
    region: str
    size_gb: int
    machine: str  # '' when none has it


@dataclass(frozen=True)
class Existing:
    """All of an app."""

    machines: tuple[Machine, ...] = ()
    volumes: tuple[Volume, ...] = ()

    def machine(self, name: str) -> Machine | None:
        """By its id."""
        return next((each for each in self.machines if each.id == name), None)

    def with_machine(self, fresh: Machine) -> Existing:
        """After one was made or changed; its volume is its own."""
        others = tuple(each for each in self.machines if each.id != fresh.id)
        volumes = tuple(replace(each, machine=fresh.id) if each.id == fresh.volume else each for each in self.volumes)
        return Existing((*others, fresh), volumes)

    def without_machine(self, name: str) -> Existing:
        """After one was destroyed; its volume is nobody's."""
        volumes = tuple(replace(each, machine="") if each.machine == name else each for each in self.volumes)
        return Existing(tuple(each for each in self.machines if each.id != name), volumes)

    def with_volume(self, fresh: Volume) -> Existing:
        """After one was made or changed."""
        return replace(self, volumes=(*(each for each in self.volumes if each.id != fresh.id), fresh))

    def without_volume(self, name: str) -> Existing:
        """After one was deleted."""
        return replace(self, volumes=tuple(each for each in self.volumes if each.id != name))


def read_existing(machines: Iterable[Mapping[str, Any]], volumes: Iterable[Mapping[str, Any]]) -> Existing:
    """From two lists of the API."""
    found = tuple(read_machine(each) for each in machines if each["state"] not in _GONE)
    disks = tuple(read_volume(each) for each in volumes if "destroy" not in each.get("state", ""))
    return Existing(tuple(sorted(found, key=lambda e: e.id)), tuple(sorted(disks, key=lambda e: e.id)))


def read_machine(said: Mapping[str, Any]) -> Machine:
    """One machine of the API."""
    config = said.get("config") or {}
    guest, metadata = config.get("guest") or {}, config.get("metadata") or {}
    mounts = config.get("mounts") or [{}]
    return Machine(
        id=said["id"],
        name=said.get("name", ""),
        region=said["region"],
        state=said["state"],
        version=said.get("instance_id", ""),
        guest=Guest(guest.get("cpu_kind", "shared"), guest.get("cpus", 1), guest.get("memory_mb", 256)),
        image=config.get("image", ""),
        volume=mounts[0].get("volume", ""),
        fleet=metadata.get(FLEET, ""),
        user=metadata.get(USER, ""),
        shared_by=metadata.get(REGION, ""),
        digest=metadata.get(DIGEST, ""),
    )


def read_volume(said: Mapping[str, Any]) -> Volume:
    """One volume of the API."""
    return Volume(said["id"], said["name"], said["region"], said["size_gb"], said.get("attached_machine_id") or "")
