"""Config and host to plan: fills every default, derives every name, assigns every port. It cannot fail.

What belongs to this machine becomes a tenant; what belongs to another becomes a target of fly-replay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar, cast

from atcgen.compiler.builds import with_builds
from atcgen.compiler.claims import spellings
from atcgen.compiler.commands import command_text, hook_plans
from atcgen.compiler.commons import common_statics
from atcgen.compiler.fleet import by_host, fleet_plan, shared_secret
from atcgen.compiler.fleet_plan import Remote, RemotePrefix, Replay
from atcgen.compiler.listing import Listed
from atcgen.compiler.names import program_name
from atcgen.compiler.paths import state_paths
from atcgen.compiler.place import Place
from atcgen.compiler.plan import Host, Plan
from atcgen.compiler.routes import infer
from atcgen.compiler.schema import App, Backup, Config, Idle, Route, Tenant, User
from atcgen.compiler.section import Section
from atcgen.compiler.serving import server_plan, sleep_plan
from atcgen.compiler.shared import shared_plan
from atcgen.compiler.source import Document, Path
from atcgen.compiler.storage import store_plan
from atcgen.compiler.tenancy import Wanted, strips, tenant_plan
from atcgen.diagnostics import Position
from atcgen.platforms import PLATFORMS

_T = TypeVar("_T", bound=Section)

PORTS = range(21_000, 30_000)  # below Linux's ephemeral range, which begins at 32768


def lower(config: Config, document: Document, host: Host) -> Plan:
    """The plan for one machine."""
    secret = shared_secret(config, host)
    host = replace(host, secret=secret) if secret else host
    named = by_host(config.fleet)
    paths = state_paths(host.state)
    placed = [(wanted, place, place.target(host, by_host=named)) for wanted, place in _wanted(config, document, host)]
    local = [wanted for wanted, _, target in placed if not target]
    ports = _ports([wanted for wanted in local if not wanted.uses_socket], config, host)
    store = store_plan(config.storage, host)
    plans = (tenant_plan(wanted, ports.get(wanted.id, 0), config, host, paths, store) for wanted in local)
    tenants, builds = with_builds(zip(local, plans, strict=True), host, paths)
    remotes = tuple(
        Remote(wanted.id, wanted.path, wanted.host, target, str(wanted.origin), strips(wanted))
        for wanted, _, target in placed
        if target
    )
    homes = {user: Place().below(section).target(host, by_host=named) for user, section in config.users.items()}
    has_root = any(not wanted.path and not wanted.host for wanted, _, _ in placed)
    taken = {wanted.path for wanted, _, _ in placed}
    prefixes = tuple(_exceptions(remotes, homes))
    uncached = {each.path.split("/")[1] for each in prefixes} | {
        wanted.user_id for wanted, _, target in placed if not target and homes.get(wanted.user_id)
    }
    names = [*(each.id for each in tenants), *(each.host for each in remotes)]
    server = server_plan(config, host, names, len(remotes))
    server = replace(server, index=() if has_root else server.index)  # a tenant at '/' is the page there
    return Plan(
        file=document.file,
        has_file=host.has_file,
        alone=config.is_alone,
        command=host.command,
        base=host.base,
        region=host.region,
        instance=host.instance,
        paths=paths,
        server=server,
        store=store,
        shared=shared_plan(config, host),
        sleep=sleep_plan(config, host),
        hooks=hook_plans(config.hooks.server, {}, host),
        hooks_at_once=config.hooks.at_once,
        fleet=fleet_plan(config, document, host, uncached),
        python=host.python,
        litestream=host.litestream,
        shims=host.shims,
        tenants=tenants,
        builds=builds,
        commons=common_statics((wanted.app for wanted, _, _ in placed), host),
        remotes=remotes,
        replays=tuple(Replay(user, target) for user, target in sorted(homes.items()) if target),
        replay_default=next((each.target for each in remotes if not each.path and not each.host), ""),
        host_replays=tuple(
            sorted((Replay(each.host, each.target) for each in remotes if each.host), key=lambda e: e.key)
        ),
        remote_prefixes=prefixes,
        closed=tuple(f"/{user}" for user in sorted(homes) if has_root and not homes[user] and f"/{user}" not in taken),
        users=tuple(sorted(config.users)),
        listed=tuple(_listed(wanted) for wanted, _, _ in placed) if server.index else (),
    )


def _listed(wanted: Wanted) -> Listed:
    path = "/" if wanted.host else f"{wanted.path}/"
    return Listed(wanted.user_id, wanted.user_name, wanted.label, path, wanted.host)


def _exceptions(remotes: tuple[Remote, ...], homes: dict[str, str]) -> Iterator[RemotePrefix]:
    """Remote paths that the map of users does not already send to the right machine."""
    for each in remotes:
        user = each.path.split("/")[1] if each.path else ""
        if each.path and not each.host and homes.get(user) != each.target:
            yield RemotePrefix(each.path, f"{each.path}/", each.target, each.origin)


def _wanted(config: Config, document: Document, host: Host) -> Iterator[tuple[Wanted, Place]]:
    for user_id, user in config.users.items():
        above: Path = ("users", user_id, "tenants")
        spelt = spellings(document, above)
        for path, tenant in user.tenants.items():
            origin = document.at((*above, spelt[path]))
            yield _of_user(config, host, user_id, user, path, tenant, origin), Place().below(user).below(tenant)
    for index, route in enumerate(config.routes):
        yield _of_route(config, host, route, document.at(("routes", index))), Place().below(route)
    if config.is_alone:
        alone = Route(name="", endpoint="")
        yield _of_route(config, host, alone, document.at(("app",)), alone=True), Place()


def _merge(default: type[_T], *levels: _T) -> _T:
    """One section out of several: a lower level wins key by key; `env` is merged by name."""
    values: dict[str, object] = {}
    env: dict[str, str] = {}
    for level in levels:
        values |= {key: getattr(level, key) for key in level.model_fields_set}
        env |= getattr(level, "env", {})
    if env:
        values["env"] = env
    return cast(_T, default.model_construct(None, **values))


def _of_user(
    config: Config, host: Host, user_id: str, user: User, path: str, tenant: Tenant, origin: Position
) -> Wanted:
    name = f"{user_id}/{path}" if path else user_id
    app = _app(_given(host), config.app, user.app, App(env=user.env), tenant.app, App(env=tenant.env))
    place = Place().below(user).below(tenant)
    return Wanted(
        id=name,
        program=program_name(name),
        label=tenant.name or path or user.name or user_id,
        user_id=user_id,
        user_name=user.name or user_id,
        region=place.region or "",
        path="" if tenant.host else f"/{name}",
        host=tenant.host or "",
        origin=origin,
        app=app,
        idle=_merge(Idle, config.idle, user.idle, tenant.idle),
        backup=_merge(Backup, config.backup, user.backup, tenant.backup),
        pin=_flag("pin", config, user, tenant),
        eager=_flag("start", config, user, tenant) == "eager",
        databases=tuple(app.databases) or ("db.sqlite3",),
        extra_env={},
    )


def _of_route(config: Config, host: Host, route: Route, origin: Position, *, alone: bool = False) -> Wanted:
    inferred = infer(route)
    app = _app(_given(host), _alone_app(alone), config.app, route.app, App(env=route.env))
    path = f"/{inferred.endpoint}" if inferred.endpoint and not route.host else ""
    return Wanted(
        id=inferred.endpoint or (route.host or "/"),
        program=program_name(inferred.endpoint or (route.host or "")),
        label=route.name or inferred.name,
        user_id="",
        user_name="",
        region=route.region or "",
        path=path,
        host=route.host or "",
        origin=origin,
        app=app,
        idle=_merge(Idle, config.idle, route.idle),
        backup=_merge(Backup, config.backup, route.backup),
        pin=alone or bool(_flag("pin", config, route)),
        eager=alone or _flag("start", config, route) == "eager",
        databases=tuple(app.databases) or (f"{inferred.database}.sqlite3",),
        extra_env={"FLY_ATC_SCOPE": path, "FLY_ATC_NAME": inferred.name},
        database_name="" if alone else inferred.database,
        fixed_port=config.server.target_port if alone else 0,
    )


def _app(*levels: App) -> App:
    """The application out of its levels, above what its platform says."""
    preset = PLATFORMS[_merge(App, *levels).platform].app
    return _merge(App, App.model_validate(preset), *levels)


def _given(host: Host) -> App:
    """What the command line says of the application: the lowest level of all."""
    return App(start=command_text(host.command)) if host.command else App()


def _alone_app(alone: bool) -> App:
    """One application that is all there is keeps every public response in the cache, as thruster does."""
    return App(cache="all") if alone else App()


def _flag(key: str, *levels: Section) -> object:
    """A plain key of several levels: the lowest one that says something."""
    for level in reversed(levels):
        if key in level.model_fields_set:
            return getattr(level, key)
    return getattr(levels[0], key)


def _ports(wanted: list[Wanted], config: Config, host: Host) -> dict[str, int]:
    """A port for each: the one it had before, else the next that nobody has or listens on."""
    given = {each.id: host.ports[each.id] for each in wanted if host.ports.get(each.id) in PORTS}
    given |= {each.id: each.fixed_port for each in wanted if each.fixed_port}
    used = set(given.values()) | set(host.ports.values()) | host.ports_taken | {config.server.http_port}
    used |= {int(config.server.metrics.rpartition(":")[2])} if config.server.metrics else set()
    free = (port for port in PORTS if port not in used)
    return given | {each.id: next(free) for each in wanted if each.id not in given}
