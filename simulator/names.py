"""The names of the private network. Pure: from a name and the machines to addresses or text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from simulator.regions import distance

_NEAREST = re.compile(r"top(\d+)\.nearest\.of\.([a-z0-9-]+)\.internal")
_VM = re.compile(r"([a-z0-9]+)\.vm\.([a-z0-9-]+)\.internal")
_GROUP = re.compile(r"([a-z0-9_-]+)\.process\.([a-z0-9-]+)\.internal")
_METADATA = re.compile(r"(.+)\.([^.]+)\.kv\._metadata\.([a-z0-9-]+)\.internal")
_REGION = re.compile(r"([a-z0-9]+)\.([a-z0-9-]+)\.internal")
_APP = re.compile(r"([a-z0-9-]+)\.internal")
API = "_api.internal"


@dataclass(frozen=True)
class Host:
    """A machine of a network."""

    id: str
    app: str
    region: str
    address: str
    is_started: bool
    metadata: dict[str, str] = field(default_factory=dict, hash=False)


def addresses(name: str, hosts: Iterable[Host], region: str) -> list[str]:
    """The addresses of a name as somebody in a region gets them; only machines that are started have one."""
    started = [each for each in hosts if each.is_started]
    if name == API:
        return ["127.0.0.1"]
    if found := _NEAREST.fullmatch(name):
        near = sorted(_of(started, found[2]), key=lambda each: (distance(region, each.region), each.id))
        return [each.address for each in near[: int(found[1])]]
    return [each.address for each in _named(name, started)]


def _named(name: str, started: Sequence[Host]) -> list[Host]:
    if found := _VM.fullmatch(name):
        return [each for each in _of(started, found[2]) if each.id == found[1]]
    if found := _GROUP.fullmatch(name):
        return [each for each in _of(started, found[2]) if each.metadata.get("fly_process_group") == found[1]]
    if found := _METADATA.fullmatch(name):
        return [each for each in _of(started, found[3]) if each.metadata.get(found[2], "").lower() == found[1]]
    if found := _REGION.fullmatch(name):
        return [each for each in _of(started, found[2]) if found[1] in ("global", each.region)]
    if found := _APP.fullmatch(name):
        return _of(started, found[1])
    return []


def texts(name: str, hosts: Iterable[Host]) -> list[str]:
    """The TXT records of a name."""
    everyone = sorted(hosts, key=lambda each: each.id)
    started = [each for each in everyone if each.is_started]
    if name == "_apps.internal":
        return _joined(sorted({each.app for each in everyone}))
    if name in ("_instances.internal", "all._instances.internal"):
        listed = everyone if name.startswith("all.") else started
        return [f"instance={each.id},app={each.app},ip={each.address},region={each.region}" for each in listed]
    bare = name.removeprefix("all.")
    listed = everyone if bare != name else started
    kind, _, rest = bare.partition(".")
    own = _of(listed, rest.removesuffix(".internal"))
    if kind == "vms":
        return _joined(f"{each.id} {each.region}" for each in own)
    if kind == "regions":
        return _joined(sorted({each.region for each in own}))
    return []


def _of(hosts: Sequence[Host], app: str) -> list[Host]:
    return [each for each in hosts if each.app == app]


def _joined(said: Iterable[str]) -> list[str]:
    text = ",".join(said)
    return [text] if text else []
