"""Config to machines: which the users of an atc.yml need, how large, and which tenants each of them has.

A user with `machine:` has one of their own. Whoever names only a `region` shares its one machine with others. Whoever
names an `instance` alone has put it there by hand, and nobody says there is nothing to make.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from atcgen.compiler.claims import spellings
from atcgen.compiler.fleet_schema import GIGABYTE, Machine
from atcgen.compiler.interpolate import expand
from atcgen.compiler.routes import infer
from atcgen.compiler.schema import Config, Level, User
from atcgen.compiler.source import Document, Path

MEGABYTE = 1024**2
_STEP_MB = 256


@dataclass(frozen=True)
class Guest:
    """Processors and memory."""

    kind: str  # shared or performance
    cpus: int
    memory_mb: int

    def __str__(self) -> str:
        word = "shared-cpu" if self.kind == "shared" else self.kind
        return f"{word}-{self.cpus}x {self.memory_mb} MB"

    @property
    def limits_mb(self) -> tuple[int, int]:
        """The least and the most memory for its processors."""
        least, most = (256, 2048) if self.kind == "shared" else (2048, 8192)
        return least * self.cpus, most * self.cpus


@dataclass(frozen=True)
class MachinePlan:
    """A machine that has to be there."""

    user: str  # '' when those who name its region share it
    region: str  # '' when nothing says it
    instance: str  # what atc.yml says it is; '' when nothing yet
    guest: Guest
    volume_gb: int
    image: str  # '' for that of the others
    tenants: tuple[str, ...]
    section: Path  # of atc.yml, which names it

    @property
    def key(self) -> str:
        """What tells it from all others."""
        return f"user {self.user}" if self.user else f"region {self.region}"


def machines(config: Config, document: Document, environ: Mapping[str, str]) -> tuple[MachinePlan, ...]:
    """Every machine that has to be there, those of users first, in order of the file."""
    own = [
        _own(config, user, section, environ) for user, section in config.users.items() if "machine" in _said(section)
    ]
    shared: dict[str, list[tuple[str, Path]]] = {}
    for region, tenant, path in _sharing(config, document):
        shared.setdefault(region, []).append((tenant, path))
    return (*own, *(_shared(config, region, found, environ) for region, found in shared.items()))


def named_instances(config: Config) -> frozenset[str]:
    """Every machine that atc.yml names by its id."""
    levels: list[Level] = [*config.users.values(), *config.routes]
    levels += [tenant for user in config.users.values() for tenant in user.tenants.values()]
    elsewhere = [each.instance for each in config.fleet.elsewhere if each.app in (None, config.fleet.app)]
    return frozenset(name for name in (*(each.instance for each in levels), *elsewhere) if name)


def merged(config: Config, user: User | None = None) -> Machine:
    """What a machine is like: the user's keys over those of the fleet. A size brings its own memory."""
    common = config.fleet.machine
    if user is None:
        return common
    own = {key: getattr(user.machine, key) for key in user.machine.model_fields_set}
    return common.model_copy(update=({"memory": None} if "size" in own else {}) | own)


def guest_of(machine: Machine) -> Guest:
    """The preset in numbers, with the memory that comes with it."""
    kind, _, count = machine.size.removesuffix("x").replace("shared-cpu", "shared").partition("-")
    least, _ = Guest(kind, int(count), 0).limits_mb
    memory = least if machine.memory is None else -(-machine.memory // (_STEP_MB * MEGABYTE)) * _STEP_MB
    return Guest(kind, int(count), memory)


def _said(level: Level) -> set[str]:
    return level.model_fields_set


def _own(config: Config, user: str, section: User, environ: Mapping[str, str]) -> MachinePlan:
    machine = merged(config, section)
    here = [path for path, tenant in section.tenants.items() if not tenant.region and not tenant.instance]
    return MachinePlan(
        user=user,
        region=section.region or "",
        instance=section.instance or "",
        guest=guest_of(machine),
        volume_gb=gigabytes(machine),
        image=expand(machine.image or "", {}, environ),
        tenants=tuple(f"{user}/{path}".rstrip("/") for path in here),
        section=("users", user),
    )


def _shared(config: Config, region: str, found: list[tuple[str, Path]], environ: Mapping[str, str]) -> MachinePlan:
    machine = config.fleet.machine
    return MachinePlan(
        user="",
        region=region,
        instance="",
        guest=guest_of(machine),
        volume_gb=gigabytes(machine),
        image=expand(machine.image or "", {}, environ),
        tenants=tuple(tenant for tenant, _ in found if tenant),
        section=found[0][1],
    )


def gigabytes(machine: Machine) -> int:
    """Its volume, in the whole GB that are charged."""
    return -(-machine.volume // GIGABYTE)


def _sharing(config: Config, document: Document) -> Iterator[tuple[str, str, Path]]:
    """Each region that is named alone, with the tenant that is there ('' for none yet) and where that is written."""
    for user, section in config.users.items():
        inherited = section.region if "machine" not in _said(section) and not section.instance else None
        if inherited:
            yield inherited, "", ("users", user)
        spelt = spellings(document, ("users", user, "tenants"))
        for path, tenant in section.tenants.items():
            own = tenant.region if not tenant.instance else None
            region = own if tenant.region or tenant.instance else inherited
            if region:
                origin: Path = ("users", user, "tenants", spelt[path]) if own else ("users", user)
                yield region, f"{user}/{path}".rstrip("/"), origin
    for index, route in enumerate(config.routes):
        if route.region and not route.instance:
            yield route.region, infer(route).endpoint or route.host or "/", ("routes", index)
