"""Rules across keys that are about other machines."""

from __future__ import annotations

from collections.abc import Iterator

from atcgen.compiler.claims import spellings
from atcgen.compiler.fleet import app_of, by_host
from atcgen.compiler.fleet_schema import Elsewhere
from atcgen.compiler.plan import Host
from atcgen.compiler.schema import Config, Level
from atcgen.compiler.source import Document, Path
from atcgen.diagnostics import Code, Diagnostic

_SHORTEST_CACHE = 10  # seconds, of Fly Proxy


def fleet_check(document: Document, config: Config, host: Host) -> list[Diagnostic]:
    """Everything that only shows when keys are looked at together."""
    return [*_replay(document, config), *_elsewhere(document, config, host), *_places(document, config, host)]


def _replay(document: Document, config: Config) -> Iterator[Diagnostic]:
    """Fly Proxy remembers nothing for less than ten seconds, and nothing that has a timeout or a fallback."""
    replay, origin = config.fleet.replay, ("fleet", "replay")
    if 0 < replay.cache < _SHORTEST_CACHE:
        where = document.value_at((*origin, "cache"))
        yield Diagnostic(where, "fleet.replay.cache: Fly Proxy remembers for 10s at least", Code.OUT_OF_RANGE)
    for key in ("timeout", "fallback"):
        if replay.cache and getattr(replay, key):
            said = f"fleet.replay.{key}: Fly Proxy takes none with a replay that it may remember"
            hint = f"the cache is at {document.at((*origin, 'cache'))}"
            yield Diagnostic(document.value_at((*origin, key)), said, Code.BAD_VALUE, hint=hint)


def _elsewhere(document: Document, config: Config, host: Host) -> Iterator[Diagnostic]:
    for index, each in enumerate(config.fleet.elsewhere):
        origin: Path = ("fleet", "elsewhere", index)
        if not (each.app or each.region or each.instance):
            said = "an entry of fleet.elsewhere has to name an app, a region or an instance"
            yield Diagnostic(document.at(origin), said, Code.MISSING_KEY)
        elif each.app and each.app == app_of(config.fleet, host) and not (each.region or each.instance):
            said = f"fleet.elsewhere: '{each.app}' is this app, and each of its machines would replay to itself"
            where, hint = document.value_at((*origin, "app")), "name a region, an instance or another app"
            yield Diagnostic(where, said, Code.BAD_VALUE, hint=hint)
        if each.app and by_host(config.fleet):
            said = f"fleet.elsewhere: target '{config.fleet.target}' knows no apps of Fly.io"
            yield Diagnostic(document.value_at((*origin, "app")), said, Code.BAD_VALUE, hint="name one of fleet.hosts")
        if each.region and each.instance:
            said = "fleet.elsewhere: a region and an instance contradict each other"
            yield Diagnostic(document.value_at((*origin, "region")), said, Code.BAD_VALUE)


def _places(document: Document, config: Config, host: Host) -> Iterator[Diagnostic]:
    """Where machines are hosts, each place is one of them."""
    if config.fleet.target != "proxy":
        return
    if host.region is not None or host.instance is not None:
        yield from _own_place(document, config, host)
    for level, origin in _levels(document, config):
        for key in ("region", "instance"):
            name = getattr(level, key)
            if name is not None and name not in config.fleet.hosts:
                said = f"{key}: '{name}' is none of fleet.hosts"
                yield Diagnostic(document.value_at((*origin, key)), said, Code.BAD_VALUE, hint=_known(config))


def _own_place(document: Document, config: Config, host: Host) -> Iterator[Diagnostic]:
    if not {host.region, host.instance} & set(config.fleet.hosts):
        said = f"this machine is '{host.instance or host.region}', which is none of fleet.hosts"
        yield Diagnostic(document.at(("fleet",)), said, Code.BAD_VALUE, hint=_known(config))


def _known(config: Config) -> str:
    return f"they are {', '.join(sorted(config.fleet.hosts)) or 'none'}"


def _levels(document: Document, config: Config) -> Iterator[tuple[Level | Elsewhere, Path]]:
    """Everything that may name a machine, and where it stands."""
    for user, section in config.users.items():
        yield section, ("users", user)
        above: Path = ("users", user, "tenants")
        spelt = spellings(document, above)
        for path, tenant in section.tenants.items():
            yield tenant, (*above, spelt[path])
    for index, route in enumerate(config.routes):
        yield route, ("routes", index)
    for index, each in enumerate(config.fleet.elsewhere):
        yield each, ("fleet", "elsewhere", index)
