"""The plan: what will be, complete and frozen.

Every default is filled in, every name derived, every port assigned. Templates only print it and the agent only reads
it, so a decision that is not here is made nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from atcgen.compiler.fleet_plan import FleetPlan, Remote, RemotePrefix, Replay, load_fleet
from atcgen.compiler.listing import Listed

BESIDE = ("fly.toml", "Dockerfile")  # files beside atc.yml that belong to a target


@dataclass(frozen=True)
class Host:
    """Facts about the machine, gathered at the edge; the compiler looks nowhere else."""

    base: str  # the directory of atc.yml, absolute
    state: str  # the state directory, absolute
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    is_directory: Callable[[str], bool] = field(default=lambda _: True, repr=False)  # is there one of that name?
    holds_data: Callable[[str], bool] = field(default=lambda _: False, repr=False)  # is there a file below that name?
    serving: bool = False  # what is compiled is about to run here
    command: tuple[str, ...] = ()  # `atc run -- COMMAND`
    has_file: bool = True  # False: there is no atc.yml, and one tenant at '/'
    cpus: int = 1
    user: str = ""
    is_root: bool = False
    can_mount: bool = False  # give a process a mount namespace, and another unix user in it
    can_prefer: bool = False  # put processes behind all others, and take it back
    unix_users: frozenset[str] = frozenset()  # the accounts of this machine; empty when they are not known
    open_files: int = 1024  # the hard limit of file descriptors
    has_ipv6: bool = False
    nginx_version: tuple[int, ...] = ()  # of the installed one; () when none is, and then only what all know is used
    python: str = "python3"
    litestream: str = "litestream"
    shims: str = "/usr/lib/atc/shims"  # the directory of what is added to frameworks
    region: str | None = None
    instance: str | None = None
    resolvers: tuple[str, ...] = ()  # who is asked for the addresses of names
    authorities: str = ""  # a file with the certificates of those who vouch for others
    secret: str = field(default="", repr=False)  # the master secret of this installation
    ports: Mapping[str, int] = field(default_factory=dict)  # tenant id -> port it was given before
    roots: Mapping[str, str] = field(default_factory=dict)  # tenant id -> where it stays while a release is rolled out
    ports_taken: frozenset[int] = frozenset()  # ports that others listen on
    beside: Mapping[str, str] = field(default_factory=dict, repr=False)  # texts of other files there, such as fly.toml
    fly_api: str = ""  # the socket by which a machine of Fly.io is suspended; '' on any other


@dataclass(frozen=True)
class StaticPlan:
    """One directory of one tenant that nginx serves itself."""

    location: str  # the URL prefix, with a slash at the end; for a public directory the tenant's own
    pattern: str  # for a public directory: which URLs may be files; '' for a directory with a prefix of its own
    directory: str  # absolute, with a slash at the end when it has a prefix of its own
    cache_control: str
    closed: tuple[str, ...] = ()  # URL prefixes below it that are nobody's


@dataclass(frozen=True)
class StorePlan:
    """Where databases are copied to."""

    url: str  # '' (nowhere), s3://BUCKET/PREFIX or file:///DIRECTORY
    endpoint: str
    region: str
    lease: float  # seconds
    grace: float
    drill: float  # seconds between restores on trial; 0 is never

    @property
    def directories(self) -> tuple[str, ...]:
        """The directories of this machine that it is in, if any."""
        return (self.url.removeprefix("file://"),) if self.url.startswith("file:") else ()


@dataclass(frozen=True)
class SharedPlan:
    """The atc.yml that machines share."""

    url: str  # of the store that has it, as in `StorePlan`
    endpoint: str
    region: str
    secret: str = field(repr=False)  # what signs it
    poll: float  # seconds; 0 is never
    address: str  # '', or where Fly Proxy is told which machine is meant
    hosts: tuple[tuple[str, str], ...]  # the addresses of machines by their names
    variables: tuple[str, ...]  # of the environment that hold the secret; tenants have not got them

    @property
    def is_followed(self) -> bool:
        """Does this machine run what the store has?"""
        return bool(self.url and self.secret)

    @property
    def directories(self) -> tuple[str, ...]:
        """The directories of this machine that it is in, if any."""
        return (self.url.removeprefix("file://"),) if self.url.startswith("file:") else ()


@dataclass(frozen=True)
class HookPlan:
    """A command that runs at an event."""

    event: str  # start, ready, idle, resume, stop
    run: tuple[str, ...]  # words
    timeout: float
    retry: int


@dataclass(frozen=True)
class SleepPlan:
    """When the machine goes to sleep, and how."""

    after: float
    then: str  # suspend, stop, nothing
    api: str  # the socket to ask, '' for none
    machine: str  # the URL path of this machine there


@dataclass(frozen=True)
class BuildPlan:
    """A command that runs once per release, for all tenants of one directory."""

    program: str  # of supervisord, that does it
    origin: str
    root: str
    run: tuple[str, ...]  # words
    env: tuple[tuple[str, str], ...] = field(repr=False)
    release: str  # '': the files below root name it,
    private: tuple[str, ...]  # but for these
    unix_user: str
    timeout: float
    record: str  # a file: which release was built last
    log: str


@dataclass(frozen=True)
class MigrationsPlan:
    """Where migrations are, and where the first database lists those that ran."""

    files: str  # a pattern below the root
    name: str  # a regular expression with a group
    table: str
    column: str


@dataclass(frozen=True)
class BackupPlan:
    """How the databases of one tenant are copied."""

    program: str  # of supervisord, that does it
    directory: str  # below the run directory: its configuration and its socket
    key: str  # what its objects in the store begin with
    sync: float  # seconds, as all times here
    files: float
    snapshots: float
    retention: float

    @property
    def lease(self) -> str:
        """The object that says who has the databases."""
        return f"{self.key}/lease.json"


@dataclass(frozen=True)
class PreloadPlan:
    """A zygote: a process with the framework loaded, which is forked to wake tenants; equal for all who share it."""

    program: str  # of supervisord, named by everything that follows
    kind: str  # python, ruby
    command: str  # what it stands in for, such as .venv/bin/gunicorn
    root: str
    unix_user: str
    env: tuple[tuple[str, str], ...]  # nothing of it is of one tenant only
    directory: str  # below the run directory
    log: str

    @property
    def socket(self) -> str:
        """Where it is asked for a fork."""
        return f"{self.directory}/s"

    @property
    def learned(self) -> str:
        """The file with what it loads."""
        return f"{self.directory}/learned"


@dataclass(frozen=True)
class PrivatePlan:
    """What a tenant has a version of its own of, though the application finds it in the release."""

    by: str  # mount, copy
    directories: tuple[str, ...]  # paths below the release, and below the tenant's directory
    files: tuple[str, ...]
    copies: str  # the directory of its copies of releases
    skipped: tuple[str, ...]  # directories that are no part of a release, wherever they lie

    @property
    def paths(self) -> tuple[str, ...]:
        """Directories and files."""
        return (*self.directories, *self.files)


@dataclass(frozen=True)
class TenantPlan:
    """A tenant of this machine."""

    id: str  # its path, as the command line names it
    program: str  # the same as a name for files, upstreams and supervisord
    label: str  # what people call it
    user_id: str
    path: str  # '' or /bellevue/2025/winter
    host: str  # '' or the host it answers
    origin: str  # atc.yml:7:5
    directory: str  # where its data is
    databases: tuple[str, ...]
    files: tuple[str, ...]  # directories that are copied besides
    backup: BackupPlan | None  # None: its databases are on this machine only
    root: str
    private: PrivatePlan | None  # None: it shares all of the release
    env: tuple[tuple[str, str], ...] = field(repr=False)
    start: tuple[str, ...]  # words; SOCKET_MARK stands for the socket, ROOT_MARK for its version of the release
    preload: PreloadPlan | None  # None: every process is started for itself
    prepare: tuple[str, ...]
    migrations: MigrationsPlan | None  # None: nobody knows without `prepare` whether there is something to do
    build: str  # '' or the program of the build that it waits for
    hooks: tuple[HookPlan, ...]
    release: str
    health: str  # the URL path to ask of the process
    health_declared: bool  # False: any answer below 500 will do
    port: int  # 0: it listens on a unix socket
    socket_directory: str
    link: str  # the socket nginx connects to; a symlink to the one of the current process
    slots: int  # how many processes may exist at once: 2 where restarts overlap
    boots_behind: bool  # while it boots it has the processor when nobody else wants it
    unix_user: str
    idle: float
    pin: bool
    eager: bool
    start_timeout: float
    prepare_timeout: float
    drain_timeout: float
    stop_timeout: float
    stop_signal: str
    access_log: str
    log: str  # what its processes say, each slot in a file LOG.SLOT.log
    location: str  # the prefix with a slash at the end
    strips: bool  # the application knows of no prefix: nginx takes it away, and puts it back into what is answered
    pool_keep: str  # names of the two upstream groups
    pool_once: str
    upstream: str  # what nginx connects to
    cache_zone: str  # 'off', or a variable or zone of the HTTP cache
    statics: tuple[StaticPlan, ...]
    public: tuple[StaticPlan, ...]
    websocket: str  # '' or the URL prefix of its long connections
    streaming: bool
    sendfile_mapping: str  # '' or the header that tells the application how to name files
    own_files: tuple[StaticPlan, ...]  # what it may let nginx send: of its own data,
    app_files: tuple[StaticPlan, ...]  # and of the application, which is the same for all its tenants

    def socket(self, slot: int) -> str:
        """The unix socket of the process in a slot."""
        return f"{self.socket_directory}/{slot}.sock"


@dataclass(frozen=True)
class Page:
    """A page of nginx: its internal URL, the owner's file ('' for none), and atc's own in the generation."""

    location: str
    own: str
    given: str


@dataclass(frozen=True)
class ServerPlan:
    """What holds for the whole machine."""

    listen: tuple[str, ...]
    workers: int
    worker_user: str
    worker_connections: int
    open_files: int
    health_check_path: str  # '': the application answers it, whatever it is
    idle_timeout: int  # milliseconds, as all of nginx's times here
    read_timeout: int
    write_timeout: int
    response_timeout: int
    error_log_option: bool  # does the installed nginx know -e?
    keepalive_min_timeout: int  # 0: the installed nginx does not know it
    pool_lifetime: int  # 0: the installed nginx does not know it
    max_request_body: int
    log_level: str  # nginx's word
    supervisor_log_level: str  # supervisord's word
    logs_requests: bool
    compresses: bool
    trusted: tuple[str, ...]
    cache_size: int
    cache_max_item_pattern: str
    bad_gateway: str  # the internal URL of the page
    pages: tuple[Page, ...]
    index: tuple[Page, ...]  # what lists the tenants at '/', if anything does
    hold: float
    max_waiting: int
    boots: int
    kill_timeout: float
    metrics: str  # '' or what nginx listens on for who collects them
    hash_bucket_size: int
    hash_max_size: int


@dataclass(frozen=True)
class Paths:
    """Where things are below the state directory."""

    state: str
    current: str  # the symlink to the active generation
    run: str
    logs: str
    tmp: str
    cache: str
    nginx_pid: str
    nginx_locks: str  # a directory
    nginx_status: str
    agent_socket: str
    control_socket: str
    events: str  # a named pipe
    supervisor_socket: str
    supervisor_pid: str
    builds: str  # a directory: which releases were built
    copies: str  # a directory of copies of releases, one directory per tenant
    drill: str  # how the last restore on trial went
    began: str  # which start of atc has run its hooks
    asleep: str  # a file: while it exists, whatever nginx would answer itself asks the agent first
    again: str  # where nginx hears a request that it heard before, once the agent has said that it may


@dataclass(frozen=True)
class Plan:
    """Everything one machine does."""

    file: str
    has_file: bool
    alone: bool  # one application at '/': nothing is said of users or routes
    base: str
    command: tuple[str, ...]
    region: str | None
    instance: str | None
    paths: Paths
    server: ServerPlan
    store: StorePlan
    shared: SharedPlan
    sleep: SleepPlan
    hooks: tuple[HookPlan, ...]
    hooks_at_once: int
    fleet: FleetPlan
    python: str
    litestream: str
    shims: str
    tenants: tuple[TenantPlan, ...]
    builds: tuple[BuildPlan, ...]
    commons: tuple[StaticPlan, ...]  # what applications serve to all their tenants alike
    remotes: tuple[Remote, ...]
    replays: tuple[Replay, ...]  # by first segment of the path
    replay_default: str  # '' or the target of everything nobody else owns
    host_replays: tuple[Replay, ...]
    remote_prefixes: tuple[RemotePrefix, ...]
    closed: tuple[str, ...]  # paths of users of this machine, where nothing falls through to a tenant at '/'
    users: tuple[str, ...]
    listed: tuple[Listed, ...]  # every tenant of every machine, when a page lists them

    @property
    def sends_elsewhere(self) -> bool:
        """Does anything go to another machine?"""
        return bool(self.remotes or self.replays or self.fleet.rules)

    @property
    def zygotes(self) -> tuple[PreloadPlan, ...]:
        """Each once, in the order of their names."""
        found = {each.preload.program: each.preload for each in self.tenants if each.preload}
        return tuple(found[program] for program in sorted(found))

    def owners(self) -> dict[str, str]:
        """The unix user of each file of the generation that belongs to somebody else than who runs atc."""
        whose = [(each.program, each.unix_user) for each in self.tenants]
        whose += [(each.program, each.unix_user) for each in self.builds]
        whose += [(each.program, each.unix_user) for each in self.zygotes]
        return {f"launch/{program}.sh": user for program, user in whose if user}

    def to_json(self) -> str:
        """The plan as text that `load` reads back."""
        return json.dumps(vars(self), default=vars, indent=1)


def _static(data: dict[str, Any]) -> StaticPlan:
    return StaticPlan(**{**data, "closed": tuple(data["closed"])})


def _build(data: dict[str, Any]) -> BuildPlan:
    lists = {key: tuple(value) for key, value in data.items() if isinstance(value, list)}
    return BuildPlan(**{**data, **lists, "env": tuple((name, value) for name, value in data["env"])})


def _private(data: dict[str, Any]) -> PrivatePlan:
    lists = {key: tuple(value) for key, value in data.items() if isinstance(value, list)}
    return PrivatePlan(**{**data, **lists})


def _shared(data: dict[str, Any]) -> SharedPlan:
    hosts = tuple((name, url) for name, url in data["hosts"])
    return SharedPlan(**{**data, "hosts": hosts, "variables": tuple(data["variables"])})


def _preload(data: dict[str, Any] | None) -> PreloadPlan | None:
    return PreloadPlan(**{**data, "env": tuple((name, value) for name, value in data["env"])}) if data else None


def _hooks(data: list[dict[str, Any]]) -> tuple[HookPlan, ...]:
    return tuple(HookPlan(**{**each, "run": tuple(each["run"])}) for each in data)


def load(text: str) -> Plan:
    """Read back what `Plan.to_json` wrote."""
    data: dict[str, Any] = json.loads(text)
    statics = ("statics", "public", "own_files", "app_files")

    def tenant(each: dict[str, Any]) -> TenantPlan:
        lists = {key: tuple(value) for key, value in each.items() if isinstance(value, list)}
        lists["env"] = tuple((name, value) for name, value in each["env"])
        lists |= {key: tuple(_static(one) for one in each[key]) for key in statics}
        parts = {
            "backup": each["backup"] and BackupPlan(**each["backup"]),
            "hooks": _hooks(each["hooks"]),
            "preload": _preload(each["preload"]),
            "migrations": each["migrations"] and MigrationsPlan(**each["migrations"]),
            "private": each["private"] and _private(each["private"]),
        }
        return TenantPlan(**(each | lists | parts))

    server = data["server"]
    server |= {key: tuple(value) for key, value in server.items() if isinstance(value, list)}
    server |= {key: tuple(Page(**each) for each in server[key]) for key in ("pages", "index")}
    return Plan(
        **{
            **data,
            "paths": Paths(**data["paths"]),
            "server": ServerPlan(**server),
            "store": StorePlan(**data["store"]),
            "shared": _shared(data["shared"]),
            "sleep": SleepPlan(**data["sleep"]),
            "hooks": _hooks(data["hooks"]),
            "fleet": load_fleet(data["fleet"]),
            "tenants": tuple(tenant(each) for each in data["tenants"]),
            "builds": tuple(_build(each) for each in data["builds"]),
            "commons": tuple(_static(each) for each in data["commons"]),
            "remotes": tuple(Remote(**each) for each in data["remotes"]),
            "replays": tuple(Replay(**each) for each in data["replays"]),
            "host_replays": tuple(Replay(**each) for each in data["host_replays"]),
            "remote_prefixes": tuple(RemotePrefix(**each) for each in data["remote_prefixes"]),
            "command": tuple(data["command"]),
            "closed": tuple(data["closed"]),
            "users": tuple(data["users"]),
            "listed": tuple(Listed(**each) for each in data["listed"]),
        }
    )
