"""One tenant: what is wanted of it to what will be, complete."""

from __future__ import annotations

import hashlib
import hmac
import os.path
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from atcgen.compiler import interpolate
from atcgen.compiler.commands import command_words, hook_plans
from atcgen.compiler.names import application_path, socket_directory
from atcgen.compiler.paths import absolute
from atcgen.compiler.plan import Host, MigrationsPlan, Paths, PrivatePlan, StaticPlan, StorePlan, TenantPlan
from atcgen.compiler.preload import preload_plan
from atcgen.compiler.private import private_plan, sendfile_mapping, sent_files
from atcgen.compiler.schema import App, Backup, Config, Idle, StaticDirectory
from atcgen.compiler.shared import shared_plan
from atcgen.compiler.storage import backup_plan
from atcgen.diagnostics import Position

_DEFAULT_START = "bin/rails server"  # what the predecessor ran when it was told nothing
_DEFAULT_PREPARE = "bin/rails db:prepare"


@dataclass(frozen=True)
class Wanted:
    """A tenant as atc.yml has it, with the levels above it merged in."""

    id: str
    program: str
    label: str
    user_id: str
    user_name: str
    region: str
    path: str
    host: str
    origin: Position
    app: App
    idle: Idle
    backup: Backup
    pin: object
    eager: bool
    databases: tuple[str, ...]
    extra_env: Mapping[str, str]
    database_name: str = ""  # of a route in fly-atc's form
    fixed_port: int = 0  # of the one application of `atc run -- COMMAND`

    @property
    def uses_socket(self) -> bool:
        """The command, or a variable that it may read, names the socket."""
        texts = (self.app.start, *self.app.env.values())
        return any(interpolate.mentions(each, "socket") for each in texts)


def tenant_plan(wanted: Wanted, port: int, config: Config, host: Host, paths: Paths, store: StorePlan) -> TenantPlan:
    """Everything about one tenant of this machine."""
    app = wanted.app
    volume = interpolate.expand(config.storage.volume, {}, host.environ)
    if not host.has_file and "volume" not in config.storage.model_fields_set:
        volume = f"{host.state}/data"  # nobody said that anything may be written beside the application
    directory = f"{absolute(host.base, volume)}/{wanted.program}"
    root = host.roots.get(wanted.id) or absolute(host.base, interpolate.expand(app.root, {}, host.environ))
    databases = tuple(f"{directory}/{each}" for each in wanted.databases)
    values = _values(wanted, directory, root, databases[0], port, host)
    stores = {*store.directories, *shared_plan(config, host).directories}  # they may be one
    outside = (absolute(host.base, volume), host.state, *sorted(stores))
    private = private_plan(app, wanted.program, wanted.databases, host, outside)
    own = values | ({"app.root": interpolate.ROOT_MARK} if private else {})
    run = socket_directory(paths.run, wanted.program)
    start, prepare = (app.start, app.prepare) if app.start else (_DEFAULT_START, app.prepare or _DEFAULT_PREPARE)
    prefix = f"{wanted.path}/"
    link = "" if port else f"{run}/sock"
    statics, public = _statics(app, root, wanted.path, lambda text: interpolate.expand(text, values, host.environ))
    sends = config.server.x_sendfile_enabled
    own_files = sent_files(wanted.program, directory, private) if sends else ()
    app_files = (_app_files(root, outside, private),) if sends else ()
    return TenantPlan(
        id=wanted.id,
        program=wanted.program,
        label=wanted.label,
        user_id=wanted.user_id,
        path=wanted.path,
        host=wanted.host,
        origin=str(wanted.origin),
        directory=directory,
        databases=databases,
        files=tuple(f"{directory}/{each}" for each in app.files),
        backup=backup_plan(wanted.program, wanted.backup, paths) if store.url else None,
        root=root,
        private=private,
        env=_environment(wanted, own, port, databases[0], host),
        start=command_words(start, own, host),
        preload=preload_plan(app, start, values, root, config, host, paths, private),
        prepare=command_words(prepare, own, host),
        migrations=MigrationsPlan(**dict(app.migrations)) if app.migrations.files else None,
        build="",
        hooks=hook_plans(config.hooks.tenant, values, host),
        release=interpolate.expand(app.release, values, host.environ),
        health=("" if strips(wanted) else wanted.path) + (app.health or "/"),
        health_declared=bool(app.health),
        port=port,
        socket_directory=run,
        link=link,
        slots=2 if app.restart == "overlap" and not port else 1,
        boots_behind=host.can_prefer,
        unix_user=app.user or "",
        idle=wanted.idle.tenant,
        pin=bool(wanted.pin),
        eager=wanted.eager or bool(wanted.pin),
        start_timeout=app.start_timeout,
        prepare_timeout=app.prepare_timeout,
        drain_timeout=app.drain_timeout,
        stop_timeout=app.stop_timeout,
        stop_signal=app.stop_signal,
        access_log=f"{paths.logs}/access/{wanted.program}.log",
        log=f"{paths.logs}/tenants/{wanted.program}",
        location=prefix,
        strips=strips(wanted),
        pool_keep=f"{wanted.program}.keep",
        pool_once=f"{wanted.program}.once",
        upstream=f"127.0.0.1:{port}" if port else f"unix:{link}",
        cache_zone=_cache_zone(app, config),
        statics=statics,
        public=public,
        websocket=f"{prefix}{app.websocket}" if app.websocket is not None else "",
        streaming=app.streaming,
        sendfile_mapping=sendfile_mapping(root, private, own_files, app_files),
        own_files=own_files,
        app_files=app_files,
    )


def strips(wanted: Wanted) -> bool:
    """Does nginx take the prefix away, if there is one?"""
    return wanted.app.prefix == "strip" and bool(wanted.path)


def _values(wanted: Wanted, directory: str, root: str, database: str, port: int, host: Host) -> dict[str, str]:
    secret = hmac.new(host.secret.encode(), wanted.id.encode(), hashlib.sha256).hexdigest()
    return {
        "tenant.name": wanted.label,
        "tenant.path": wanted.path,
        "tenant.id": wanted.id,
        "tenant.dir": directory,
        "tenant.host": wanted.host,
        "user.name": wanted.user_name,
        "user.id": wanted.user_id,
        "user.region": wanted.region,
        "database": database,
        "secret": secret,
        "socket": interpolate.SOCKET_MARK,
        "port": str(port),
        "app.root": root,
        "app.path": application_path(interpolate.expand(wanted.app.root, {}, host.environ)),
        "shims": host.shims,
    }


def _environment(
    wanted: Wanted, values: Mapping[str, str], port: int, database: str, host: Host
) -> tuple[tuple[str, str], ...]:
    """The variables of the tenant, sorted; SOCKET itself is set by the launch script, which knows the slot."""
    env = dict(wanted.extra_env)
    if port:
        env["PORT"] = str(port)
    if wanted.database_name and "DATABASE_URL" not in wanted.app.env:
        env["DATABASE_URL"] = _database_url(host.environ.get("DATABASE_URL", ""), wanted.database_name, database)
    for name, text in wanted.app.env.items():
        env[name] = interpolate.expand(text, values, host.environ)
    return tuple(sorted(env.items()))


def _database_url(given: str, name: str, database: str) -> str:
    """The machine's DATABASE_URL with its file name replaced, as the predecessor did; else the tenant's own file."""
    head, slash, _ = given.rpartition("/")
    return f"{head}/{name}.sqlite3" if slash else f"sqlite3:{database}"


def _cache_zone(app: App, config: Config) -> str:
    if not config.server.cache_size or app.cache == "off":
        return "off"
    return app.cache


def _statics(
    app: App, root: str, prefix: str, expand: Callable[[str], str]
) -> tuple[tuple[StaticPlan, ...], tuple[StaticPlan, ...]]:
    """Directories with a prefix of their own, and the public directory, which shares the tenant's prefix."""
    own, public = [], []
    for path, each in sorted(app.static.items()):
        directory = absolute(root, expand(each.dir))
        if path:
            own.append(StaticPlan(f"{prefix}/{path}/", "", f"{directory}/", cache_control(each)))
        else:
            pattern = "^" + re.escape(prefix) + r"(?<atc_file>/(?!.*/\.)(?!\.)[^?]*\.[A-Za-z0-9]+)\z"
            public.append(StaticPlan(f"{prefix}/", pattern, directory, cache_control(each)))
    return tuple(own), tuple(public)


def cache_control(each: StaticDirectory) -> str:
    return "public, max-age=31536000, immutable" if each.immutable else f"public, max-age={int(each.max_age)}"


def _app_files(root: str, outside: tuple[str, ...], private: PrivatePlan | None) -> StaticPlan:
    """The files of an application that it may let nginx send, for all its tenants alike: those below its root that are
    not below a directory `outside` of it, where the data of tenants is, nor what each has a version of its own of.
    """
    named = "\0".join([root, *sorted(private.paths)]) if private else root
    location = f"/_atc/app/{hashlib.sha256(named.encode()).hexdigest()[:12]}/"
    inside = [os.path.relpath(each, root) for each in outside if os.path.commonpath([each, root]) == root]
    inside += private.directories if private else ()
    files = private.files if private else ()
    closed = (*(f"{location}{each}/" for each in inside), *(f"{location}{each}" for each in files))
    return StaticPlan(location, "", f"{root.rstrip('/')}/", "", closed)
