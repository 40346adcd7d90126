"""Fly.io: machines of one app, made by `fly deploy` from fly.toml, or by `atc fleet apply` through the Machines API."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from atcgen.compiler import interpolate
from atcgen.compiler.fleet_schema import GIGABYTE
from atcgen.compiler.machines import MEGABYTE, gigabytes, guest_of, machines, merged
from atcgen.compiler.plan import Host
from atcgen.compiler.schema import Config
from atcgen.compiler.source import Document, Path
from atcgen.compiler.targets.dockerfile import APP, dockerfile, state_beside
from atcgen.compiler.targets.fly_shape import Shape
from atcgen.compiler.targets.fly_toml import FILE, disagreements, fly_toml
from atcgen.compiler.targets.variables import named, variables
from atcgen.diagnostics import Code, Diagnostic, Position, Severity

_MOST_TO_SUSPEND_MB = 2048


def app_of(config: Config, host: Host) -> str:
    """The name of the app; '' when nothing says it."""
    return config.fleet.app or host.environ.get("FLY_APP_NAME", "")


def shape_of(config: Config, host: Host) -> Shape:
    """What all machines of the app have in common."""
    mount, state = state_beside(posixpath.join(APP, interpolate.expand(config.storage.volume, {}, host.environ)))
    server = config.server
    return Shape(
        app=app_of(config, host),
        port=server.http_port,
        health=f"/{server.health_check_path}",
        kill_timeout=int(server.kill_timeout),
        mount=mount,
        state=state,
        guest=guest_of(config.fleet.machine),
        volume_gb=gigabytes(config.fleet.machine),
        image=interpolate.expand(config.fleet.machine.image or "", {}, host.environ),
    )


def files(config: Config, document: Document, host: Host) -> Mapping[str, str]:
    """fly.toml, and a Dockerfile where atc.yml has none beside it."""
    shape = shape_of(config, host)
    region = next((each.region for each in machines(config, document, host.environ) if each.region), "")
    found = {FILE: fly_toml(shape, region, variables(config, document))}
    if "Dockerfile" not in host.beside and not shape.image:
        found["Dockerfile"] = dockerfile(shape.port, shape.mount, shape.state)
    return found


def check(config: Config, document: Document, host: Host) -> Iterator[Diagnostic]:
    """Machines that cannot be as they are wanted; and where fly.toml says something else than atc.yml."""
    yield from _sizes(config, document)
    yield from _regions(config, document, host)
    if "fleet" in config.model_fields_set and (config.storage.replica or "").startswith("file:"):
        said = "storage.replica: a directory is on one machine, and what is copied there does not reach another one"
        yield _unfit(document.value_at(("storage", "replica")), said, Severity.WARNING)
    if FILE in host.beside and not _lacks_variables(config, host):
        shape, sized = shape_of(config, host), "machine" in config.fleet.model_fields_set
        for line, said in disagreements(host.beside[FILE], shape, app=config.fleet.app or "", sized=sized):
            yield _unfit(Position(FILE, line, 1), said, Severity.WARNING)


def _lacks_variables(config: Config, host: Host) -> bool:
    texts = (config.storage.volume, config.fleet.machine.image or "")
    return any(interpolate.expand_environment(each, host.environ) is None for each in texts)


def _sizes(config: Config, document: Document) -> Iterator[Diagnostic]:
    levels: list[tuple[Path, Path]] = [(("fleet", "machine"), ())]
    levels += [(("users", user, "machine"), (user,)) for user, each in config.users.items() if _has_own(config, user)]
    for path, user in levels:
        machine = merged(config, config.users[str(user[0])] if user else None)
        guest = guest_of(machine)
        least, most = guest.limits_mb
        where = document.value_at((*path, "memory"))
        if not least <= guest.memory_mb <= most or (machine.memory or 0) % (256 * MEGABYTE):
            said = f"memory: {machine.size} has {least} to {most} MB, in steps of 256"
            yield Diagnostic(where, f"{'.'.join(map(str, path))}.{said}", Code.OUT_OF_RANGE)
        elif guest.memory_mb > _MOST_TO_SUSPEND_MB and "machine" in config.fleet.model_fields_set | set(path):
            said = f"a machine with {guest.memory_mb} MB cannot be suspended, and stops when it is idle"
            yield _unfit(where, said, Severity.WARNING)
        section = config.users[str(user[0])].machine if user else config.fleet.machine
        if "volume" in section.model_fields_set and machine.volume % GIGABYTE:
            said = f"{'.'.join(map(str, path))}.volume: volumes have whole GB, so this one gets {gigabytes(machine)}"
            yield _unfit(document.value_at((*path, "volume")), said, Severity.WARNING)


def _has_own(config: Config, user: str) -> bool:
    return "machine" in config.users[user].model_fields_set


def _regions(config: Config, document: Document, host: Host) -> Iterator[Diagnostic]:
    """A machine of one's own has a region, and nobody else is sent there by the region's name."""
    own: dict[str, str] = {}
    for user, section in config.users.items():
        if not _has_own(config, user):
            continue
        if section.region:
            own.setdefault(section.region, user)
        elif not section.instance:
            said = f"'{user}' has a machine of its own, and no region"
            yield _unfit(document.at(("users", user, "machine")), said, Severity.ERROR)
    for each in machines(config, document, dict.fromkeys(named(document.data), "")):
        if not each.user and each.region in own:
            said = f"'{own[each.region]}' has a machine of its own in {each.region}, which may answer in place of this"
            hint = "give this user `machine:` as well, or another region"
            yield _unfit(document.at((*each.section, "region")), said, Severity.ERROR, hint)


def _unfit(where: Position, said: str, severity: Severity, hint: str = "") -> Diagnostic:
    return Diagnostic(where, said, Code.UNFIT_FOR_TARGET, severity, hint)
