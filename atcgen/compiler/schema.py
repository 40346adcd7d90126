"""What an owner may write in atc.yml: one class per section, one described field per key.

This is the only place where a key's type, limits, default and meaning stand. The reference documentation, the
JSON Schema for editors and the sentences of errors are made from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from atcgen.compiler.fleet_schema import Fleet, Machine
from atcgen.compiler.hooks_schema import Hooks
from atcgen.compiler.section import Section, Short
from atcgen.compiler.values import (
    Address,
    DatabaseFile,
    DatabaseName,
    Duration,
    EnvName,
    FileDirectory,
    Host,
    Listener,
    MachineWord,
    Naming,
    Network,
    PrivatePath,
    Segment,
    Size,
    Text,
    UrlPath,
    UrlSuffix,
)
from atcgen.platforms import PLATFORMS

if TYPE_CHECKING:
    PlatformName = str
else:
    PlatformName = Literal[tuple(PLATFORMS)]

DAY = 86_400.0
PETABYTE = 1024**5


Env = Annotated[dict[EnvName, Text], Short()]
ErrorStatus = Literal["404", "413", "502", "503"]


class Server(Section):
    """The listener and what holds for every tenant of the machine."""

    http_port: int = Field(8080, ge=1, le=65535, description="The port to listen on for HTTP.")
    bind: Address | None = Field(None, description="The address to listen on; all of the machine's when missing.")
    user: Text | None = Field(None, description="The unix user of nginx's workers; the one who runs atc when missing.")
    target_port: int = Field(
        3000, ge=1, le=65535, description="The port given in PORT to the one application of `atc run -- COMMAND`."
    )
    cache_size: Size = Field(64 * 1024**2, ge=0, le=PETABYTE, description="Room for the HTTP cache; 0 keeps no cache.")
    max_cache_item_size: Size = Field(
        1024**2, ge=0, le=PETABYTE, description="The largest response the HTTP cache keeps."
    )
    x_sendfile_enabled: bool = Field(True, description="Let nginx send files that the application names.")
    max_request_body: Size = Field(
        0, ge=0, le=PETABYTE, description="The largest request body that is accepted; 0 is no limit."
    )
    bad_gateway_page: Text = Field("./public/502.html", description="The page for a 502, when the file exists.")
    error_pages: Annotated[dict[ErrorStatus, Text], Short()] = Field(
        default_factory=dict,
        description="HTML files for 404, 413, 502 and 503; the one for 503 is also the waiting "
        'page, where `<!--# echo var="atc_said" -->` says what goes on.',
    )
    index: Text = Field(
        "false",
        description="A page at `/` that lists every tenant, where no tenant is at `/`: `true`, or an HTML file, "
        'in which `<!--# include virtual="/_atc/tenants" -->` is the list.',
    )
    http_idle_timeout: Duration = Field(60, ge=0, le=DAY, description="How long an idle client connection is kept.")
    http_read_timeout: Duration = Field(30, ge=1, le=DAY, description="How long a client may pause while it sends.")
    http_write_timeout: Duration = Field(30, ge=1, le=DAY, description="How long a client may pause while it reads.")
    response_timeout: Duration = Field(
        300, ge=1, le=DAY, description="How long an application may be silent before its answer is given up."
    )
    forward_headers: bool | None = Field(
        None, description="Believe X-Forwarded-* of every client; when missing, only of `trusted_proxies`."
    )
    trusted_proxies: Annotated[list[Network], Short(empty=list)] = Field(
        default_factory=list,
        description="Addresses whose X-Forwarded-* are believed; on Fly.io its proxy's by default.",
    )
    gzip_compression_enabled: bool = Field(True, description="Compress text for clients that accept gzip.")
    log_requests: bool = Field(
        True,
        description="Write a line of JSON per request; without it a tenant's idleness is "
        "judged by its open connections alone.",
    )
    debug: bool = Field(False, description="The same as `log_level: debug`.")
    log_level: Literal["debug", "info", "warn", "error"] = Field("info", description="How much atc says of itself.")
    health_check_path: UrlPath = Field("up", description="Answered by nginx itself, so that it wakes nobody.")
    hold: Duration = Field(
        10,
        ge=0,
        le=3600,
        description="How long a request waits for a tenant that starts before it gets the waiting page.",
    )
    max_waiting: int = Field(1000, ge=1, le=100_000, description="How many requests may wait for one tenant.")
    boots: int = Field(
        0,
        ge=0,
        le=1000,
        description="How many tenants may boot at once; 0 is one less than the processors, and at least one.",
    )
    metrics: Listener | None = Field(
        None,
        description="Where nginx serves /metrics for Prometheus: a loopback address with a port such as "
        "`127.0.0.1:9100`; nowhere when missing. `atc metrics` prints the same.",
    )
    kill_timeout: Duration = Field(
        5, ge=1, le=300, description="How long the platform waits after SIGTERM; all tenants stop within it."
    )


class StaticDirectory(Section):
    """A directory that nginx serves itself."""

    dir: Text = Field(description="The directory, relative to `app.root`, or below `${tenant.dir}`: uploads.")
    immutable: bool = Field(False, description="Its files never change under one name; browsers keep them a year.")
    max_age: Duration = Field(3600, ge=0, le=365 * DAY, description="How long browsers may keep a file.")
    shared: bool = Field(
        False,
        description="Serve it below `${app.path}` too, for all tenants alike: for stylesheets that were compiled once "
        "for all of them, and name their images by whole paths.",
    )


Static = Annotated[dict[UrlPath, Annotated[StaticDirectory, Short("dir")]], Short("")]


class Migrations(Section):
    """How to see, without the framework, that a database has every migration of a release."""

    files: Text = Field("", description="A pattern of their files below `app.root`, such as `db/migrate/*.rb`.")
    name: Naming = Field(
        "([^/]+)$",
        description="A regular expression whose group is the name of a migration, in the path of its file; the "
        "file's name when missing.",
    )
    table: Text = Field("", description="The table of `${database}` that lists those that ran.")
    column: Text = Field("", description="The column of it with their names.")

    @model_validator(mode="after")
    def _whole(self) -> Migrations:
        if len({bool(each) for each in (self.files, self.table, self.column)}) > 1:
            raise ValueError("must have `files`, `table` and `column`, or none of them")
        return self


class App(Section):
    """The application and how it is run; every key can be overridden per user and per tenant."""

    platform: PlatformName = Field(
        "command", description="The framework, which says every key of `app` that is missing; `command` says none."
    )
    root: Text = Field(".", description="The directory of the application, relative to atc.yml.")
    start: Text = Field(
        "",
        description="The command that serves a tenant; it listens on `${socket}` or `${port}`, whichever it mentions, "
        "and on PORT when it mentions none.",
    )
    prepare: Text = Field(
        "", description="A command that runs once per release and database before the start: migrations."
    )
    build: Text = Field(
        "",
        description="A command that runs once per release, before any tenant of `root` prepares or starts: assets, "
        "generated code, `npm ci`.",
    )
    migrations: Annotated[Migrations, Short()] = Field(
        default_factory=Migrations,
        description="Where migrations are, and where the database lists them: a release that brings none which a "
        "tenant has not needs no `prepare`.",
    )
    release: Text = Field(
        "", description="What names the release, such as `${ENV:GIT_SHA}`; when missing, the files below `root` do."
    )
    prefix: Literal["keep", "strip"] = Field(
        "keep",
        description="`keep` hands over the path as it came, below `${tenant.path}`, which the application is told; "
        "`strip` is for one that knows of no prefix: it sees the path without it, and nginx puts it back into what "
        "it answers.",
    )
    health: UrlSuffix = Field(
        "",
        description="A path below the tenant's prefix that answers 2xx or 3xx when the tenant is ready; "
        "any answer below 500 of its front page when missing.",
    )
    env: Env = Field(
        default_factory=dict, description="Environment variables; lower levels add to them and override them."
    )
    databases: Annotated[list[DatabaseFile], Short(empty=list)] = Field(
        default_factory=list, description="SQLite files below the tenant's directory; the first one is `${database}`."
    )
    files: Annotated[list[FileDirectory], Short(empty=list)] = Field(
        default_factory=list,
        description="Directories below the tenant's whose files are copied to `storage.replica` and restored with its "
        "databases: uploads. Databases in them are copied as such.",
    )
    private: Annotated[list[PrivatePath], Short(empty=list)] = Field(
        default_factory=list,
        description="What every tenant has a version of its own of, though the application finds it below `root`: "
        "directories such as `storage`, `tmp` and `log`, and files, such as `db.sqlite3`. It lies below the tenant's "
        "directory under the same name. A last part with a dot means a file, unless a slash follows.",
    )
    private_by: Literal["auto", "mount", "copy"] = Field(
        "auto",
        description="How: `mount`, in a mount namespace of the process, which needs root and directories; `copy`, in a "
        "copy of the release made of hard links; `auto` is the first of them that is possible.",
    )
    static: Static = Field(
        default_factory=dict,
        description="Directories nginx serves itself, by their path below the prefix; one name alone is a public "
        "directory whose files are served at the prefix.",
    )
    websocket: UrlPath | None = Field(
        None, description="A path below the prefix that is held open for long: no buffering, no response timeout."
    )
    streaming: bool = Field(
        False, description="Pass every response on as it comes (single ones ask with `X-Accel-Buffering: no`)."
    )
    cache: Literal["assets", "all", "off"] = Field(
        "assets", description="Which responses marked public the HTTP cache may keep: those of files, all, or none."
    )
    user: Text | None = Field(None, description="The unix user the tenant runs as; needs root.")
    preload: bool = Field(
        False,
        description="Keep a process that has the framework loaded while any tenant is awake, and fork it to wake "
        "another: for `start` commands of gunicorn, uvicorn, hypercorn, daphne, waitress-serve, python and puma.",
    )
    restart: Literal["overlap", "hold"] = Field(
        "overlap", description="Start the new process beside the old one, or stop first and hold requests meanwhile."
    )
    start_timeout: Duration = Field(60, ge=1, le=3600, description="How long a tenant may take until it is ready.")
    build_timeout: Duration = Field(1800, ge=1, le=DAY, description="How long `build` may take.")
    prepare_timeout: Duration = Field(600, ge=1, le=DAY, description="How long `prepare` may take.")
    drain_timeout: Duration = Field(30, ge=0, le=DAY, description="How long open requests may go on before a stop.")
    stop_timeout: Duration = Field(
        10, ge=0, le=300, description="How long after the stop signal the process is killed."
    )
    stop_signal: Literal["TERM", "INT", "QUIT", "HUP", "USR1", "USR2"] = Field(
        "TERM", description="The signal that asks it to end."
    )


class Idle(Section):
    """When something that nobody uses goes to sleep."""

    tenant: Duration = Field(
        600, ge=1, le=30 * DAY, description="How long a tenant without requests and connections is kept."
    )


class MachineIdle(Section):
    """When the machine goes to sleep, which it does once all its tenants are asleep."""

    after: Duration = Field(
        300, ge=1, le=30 * DAY, description="How long nobody may have used the machine: no tenant, no connection."
    )
    then: Literal["suspend", "stop", "nothing"] = Field(
        "suspend",
        description="What it does: `suspend`, on Fly.io, and nothing elsewhere; `stop`, for which atc ends with exit "
        "status 0 where no platform can be asked; `nothing`.",
    )


class MachineWide(Idle):
    """The same at the top, where it is also said of the machine."""

    machine: Annotated[MachineIdle, Short("after")] = Field(
        default_factory=MachineIdle, description="When the machine goes to sleep."
    )


class Storage(Section):
    """Where tenants keep their data."""

    volume: Text = Field("./data", description="The directory that holds one directory per tenant.")
    replica: Text | None = Field(
        None,
        description="Where databases are copied as they change, and restored from: `s3://BUCKET/PREFIX`, or "
        "`file:DIRECTORY`, relative to atc.yml. Nothing is copied when missing.",
    )
    endpoint: Text | None = Field(
        None, description="The address of the S3 service; AWS_ENDPOINT_URL_S3 when missing, and else Amazon's."
    )
    region: Text | None = Field(None, description="The region of the bucket; AWS_REGION when missing.")
    lease: Duration = Field(
        60,
        ge=3,
        le=3600,
        description="How long a machine that went silent keeps its tenants' databases; it says that it is there three "
        "times as often, which costs a request per tenant that is awake.",
    )
    grace: Duration = Field(
        30 * DAY, ge=0, le=3650 * DAY, description="How long the copies of a deleted tenant are kept all the same."
    )
    drill: Duration = Field(
        DAY,
        ge=0,
        le=30 * DAY,
        description="How often one tenant, chosen by lot, is restored to a scratch directory and checked; 0 is never.",
    )


class Backup(Section):
    """How a tenant's databases and files are copied to `storage.replica`."""

    sync: Duration = Field(
        1,
        ge=0.1,
        le=3600,
        description="How much of the last changes a machine that is destroyed takes with it at most; "
        "a database that changes all the time costs two requests in that time.",
    )
    files: Duration = Field(
        60,
        ge=1,
        le=DAY,
        description="How often the directories of `app.files` are looked through while a tenant is awake; what changed "
        "is sent, and the rest is when it stops.",
    )
    snapshots: Duration = Field(
        DAY, ge=60, le=30 * DAY, description="How often the database of a tenant that stays up is sent whole."
    )
    retention: Duration = Field(7 * DAY, ge=3600, le=3650 * DAY, description="How far back states can be restored.")


AppLevel = Annotated[App, Short()]
IdleLevel = Annotated[Idle, Short("tenant")]
BackupLevel = Annotated[Backup, Short("sync")]
Start = Literal["demand", "eager"]


class Level(Section):
    """What every level below the top may override."""

    env: Env = Field(default_factory=dict, description="The same as `app.env`.")
    app: AppLevel = Field(default_factory=App, description="Overrides keys of `app`.")
    idle: IdleLevel = Field(
        default_factory=Idle, description="Overrides keys of `idle`; a bare duration is `idle.tenant`."
    )
    backup: BackupLevel = Field(
        default_factory=Backup, description="Overrides keys of `backup`; a bare duration is `backup.sync`."
    )
    pin: bool = Field(False, description="Keep the tenant up.")
    start: Start = Field("demand", description="`eager` starts the tenant when atc starts.")
    region: MachineWord | None = Field(None, description="The region of the machine that serves it.")
    instance: MachineWord | None = Field(None, description="The machine that serves it; wins over `region`.")


class Tenant(Level):
    """One running instance of the application with databases of its own."""

    name: Text | None = Field(None, description="What people call it.")
    host: Host | None = Field(None, description="It answers this host instead of its path.")


class User(Level):
    """A customer: tenants below one path, on one machine."""

    name: Text | None = Field(None, description="What people call them.")
    machine: Annotated[Machine, Short("size")] = Field(
        default_factory=Machine,
        description="A machine of their own, in their `region`; keys override `fleet.machine`, and it may be empty.",
    )
    tenants: Annotated[dict[UrlPath, Annotated[Tenant, Short()]], Short()] = Field(
        default_factory=dict, description="Tenants by their path below the user's prefix."
    )


class Route(Level):
    """A tenant in the form of fly-atc: name, endpoint and database follow from each other when missing."""

    name: Text | None = Field(None, description="What people call it; handed over in FLY_ATC_NAME.")
    endpoint: UrlPath | None = Field(None, description="The prefix of its path; the longest one wins.")
    database: DatabaseName | None = Field(None, description="The name of its database file, without `.sqlite3`.")
    host: Host | None = Field(None, description="It answers this host instead of its path.")


class Config(Section):
    """A whole atc.yml."""

    server: Annotated[Server, Short()] = Field(default_factory=Server, description="The listener.")
    app: AppLevel = Field(default_factory=App, description="The application.")
    idle: Annotated[MachineWide, Short("tenant")] = Field(
        default_factory=MachineWide, description="When tenants and the machine go to sleep."
    )
    storage: Annotated[Storage, Short()] = Field(default_factory=Storage, description="Where data is kept.")
    backup: BackupLevel = Field(default_factory=Backup, description="How databases are copied to the replica.")
    pin: bool = Field(False, description="Keep every tenant up.")
    start: Start = Field("demand", description="`eager` starts every tenant when atc starts.")
    hooks: Annotated[Hooks, Short()] = Field(
        default_factory=Hooks, description="Commands that run when something happens."
    )
    fleet: Annotated[Fleet, Short()] = Field(
        default_factory=Fleet, description="The machines, and how requests find them."
    )
    users: Annotated[dict[Segment, Annotated[User, Short()]], Short()] = Field(
        default_factory=dict, description="Customers by the first segment of their URLs."
    )
    routes: Annotated[list[Route], Short(empty=list)] = Field(
        default_factory=list, description="Tenants in the form of fly-atc."
    )

    @property
    def is_alone(self) -> bool:
        """No file, or one that says nothing of tenants: one application, at '/'."""
        return not self.users and not self.routes
