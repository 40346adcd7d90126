"""Rules across keys: no two tenants answer one URL, share a name or a database, or take what is atc's own."""

from __future__ import annotations

from collections.abc import Iterator

from atcgen.compiler.claims import Claim, read_claims, written_keys
from atcgen.compiler.fleet_rules import fleet_check
from atcgen.compiler.interpolate import expand_environment, mentions
from atcgen.compiler.names import LONGEST_PROGRAM, program_name
from atcgen.compiler.paths import absolute
from atcgen.compiler.plan import Host
from atcgen.compiler.preload import check_preload
from atcgen.compiler.private import check_private
from atcgen.compiler.routes import infer, slug
from atcgen.compiler.sayable import app_levels, check_sayable
from atcgen.compiler.schema import Config
from atcgen.compiler.serving import effective_server
from atcgen.compiler.source import Document, Path
from atcgen.compiler.storage import here_problem, store_url, url_problem
from atcgen.compiler.targets import target_of
from atcgen.compiler.values import url_path
from atcgen.diagnostics import Code, Diagnostic, Position, Severity

RESERVED = "_atc"
_OWN_PROGRAMS = ("atc-agent", "atc-events", "atc-nginx")


def cross_check(document: Document, config: Config, host: Host) -> list[Diagnostic]:
    """Everything that only shows when keys are looked at together."""
    claims = read_claims(document, config)
    return [
        *_spelt_twice(document, config),
        *_user_names(document, config),
        *_names(claims),
        *_paths(document, config, claims),
        *_inside(document, config, claims),
        *_hosts(document, config),
        *_routes(document, config),
        *_listening(claims),
        *_own_port(document, config, host),
        *_roots(document, claims, host),
        *check_sayable(document, config, host),
        *_files(document, claims),
        *check_preload(document, claims, host),
        *check_private(document, config, claims, host),
        *_store(document, config, host),
        *target_of(config).check(config, document, host),
        *_shared(document, config, host),
        *_old_nginx(document, host),
        *fleet_check(document, config, host),
    ]


def _spelt_twice(document: Document, config: Config) -> Iterator[Diagnostic]:
    """`2025/winter` and `/2025/winter/` are one path to nginx, and two keys to YAML."""
    mappings: list[Path] = [("users", user, "tenants") for user in config.users]
    mappings += [(*origin, "static") for _, origin in app_levels(config)]
    for origin in mappings:
        seen: dict[str, object] = {}
        for key in written_keys(document, origin):
            first = seen.setdefault(url_path(key), key)
            if first != key:
                where = document.at((*origin, key))
                yield Diagnostic(where, f"'{key}' and '{first}' are the same path", Code.PATH_CLASH)


def _user_names(document: Document, config: Config) -> Iterator[Diagnostic]:
    seen: dict[str, str] = {}
    for user in config.users:
        first = seen.setdefault(user.lower(), user)
        where = document.at(("users", user))
        if first != user:
            yield Diagnostic(where, f"users '{user}' and '{first}' differ only in case", Code.NAME_CLASH)
        if user == RESERVED:
            yield Diagnostic(where, f"'{RESERVED}' is atc's own", Code.BAD_NAME)


def _names(claims: list[Claim]) -> Iterator[Diagnostic]:
    """Files, upstreams and programs are named after a tenant, by whatever it is reached."""
    seen: dict[str, Claim] = {}
    for claim in claims:
        where, first = claim.position, seen.setdefault(claim.id, claim)
        if first is not claim and (first.path is None or claim.path is None):
            hint = f"the other one is at {first.position}; give a route another name or endpoint"
            yield Diagnostic(where, f"two tenants are named '{claim.id}'", Code.NAME_CLASH, hint=hint)
        if claim.id in _OWN_PROGRAMS:
            yield Diagnostic(where, f"'{claim.id}' is atc's own", Code.BAD_NAME)
        if len(program_name(claim.id)) > LONGEST_PROGRAM:
            said = f"'{claim.id[:40]}...' is too long for the names of files"
            yield Diagnostic(where, said, Code.BAD_NAME)


def _own_port(document: Document, config: Config, host: Host) -> Iterator[Diagnostic]:
    """One application alone listens on `target_port`, which must not be nginx's; and nginx on another for metrics."""
    server = effective_server(config, host)
    if server.metrics and server.metrics.endswith(f":{server.http_port}"):
        said = f"server.metrics: {server.http_port} is the port that tenants are reached by"
        yield Diagnostic(document.value_at(("server", "metrics")), said, Code.BAD_VALUE)
    if config.is_alone and server.target_port == server.http_port:
        said = f"server.target_port: {server.http_port} is the port that nginx listens on"
        yield Diagnostic(document.value_at(("server", "target_port")), said, Code.BAD_VALUE)


def _roots(document: Document, claims: list[Claim], host: Host) -> Iterator[Diagnostic]:
    """Directories of applications that are not there; elsewhere, where the file is only looked at, they may be."""
    severity = Severity.ERROR if host.serving else Severity.WARNING
    seen = set()
    for claim in claims:
        root, origin = claim.app("root")
        expanded = expand_environment(str(root), host.environ)
        if origin in seen or expanded is None:
            continue
        seen.add(origin)
        path = absolute(host.base, expanded)
        if not host.is_directory(path):
            said = f"app.root: {path!r} is no directory of this machine"
            yield Diagnostic(document.value_at(origin), said, Code.BAD_VALUE, severity)


def _listening(claims: list[Claim]) -> Iterator[Diagnostic]:
    """A tenant listens on its socket or on its port; whoever is told of both would listen on the wrong one."""
    for claim in claims:
        texts = (str(claim.app("start")[0]), *claim.env.values())
        if all(any(mentions(text, name) for text in texts) for name in ("socket", "port")):
            said = f"'/{claim.id}' is told of both ${{socket}} and ${{port}}, and listens on one of them"
            yield Diagnostic(claim.position, said, Code.BAD_VALUE, hint="leave one of them out of start and env")


def _paths(document: Document, config: Config, all_claims: list[Claim]) -> Iterator[Diagnostic]:
    claims: dict[str, Claim] = {}
    health = config.server.health_check_path
    if _first(health) == RESERVED:
        where = document.value_at(("server", "health_check_path"))
        yield Diagnostic(where, f"paths below '/{RESERVED}' are atc's own", Code.BAD_NAME)
    for claim in all_claims:
        if claim.path is None:
            continue
        where, first = claim.position, claims.setdefault(claim.path, claim)
        if first is not claim:
            said = f"'/{claim.path}' is answered by two tenants"
            yield Diagnostic(where, said, Code.PATH_CLASH, hint=_other(first.position))
        user = _first(claim.path)
        if user == RESERVED:
            yield Diagnostic(where, f"paths below '/{RESERVED}' are atc's own", Code.BAD_NAME)
        if claim.path and claim.path == health:
            said = f"'/{claim.path}' is `server.health_check_path`, which nginx answers itself"
            yield Diagnostic(where, said, Code.PATH_CLASH)
        if claim.is_route and user in config.users:
            yield _belongs(document, where, claim.path)
    for claim in claims.values():
        if not claim.is_route:
            yield from _nested(claim, claims)


def _belongs(document: Document, where: Position, path: str) -> Diagnostic:
    user = _first(path)
    said = f"'/{path}' lies in what belongs to user '{user}'"
    return Diagnostic(where, said, Code.PATH_CLASH, hint=f"the user is at {document.at(('users', user))}")


def _first(path: str) -> str:
    return path.partition("/")[0]


def _other(where: Position) -> str:
    return f"the other one is at {where}"


def _nested(claim: Claim, claims: dict[str, Claim]) -> Iterator[Diagnostic]:
    """A tenant below another one would be answered by it once it is removed or mistyped."""
    segments = (claim.path or "").split("/")
    for length in range(1, len(segments)):
        outer = claims.get("/".join(segments[:length]))
        if outer:
            said = f"'/{claim.path}' lies below the tenant '/{outer.path}'"
            yield Diagnostic(claim.position, said, Code.PATH_CLASH, hint=_other(outer.position))


def _inside(document: Document, config: Config, claims: list[Claim]) -> Iterator[Diagnostic]:
    """Static directories and websockets are paths of their own, and must not be somebody else's."""
    tenants = {each.path: each for each in claims}
    for claim in claims:
        static, static_at = claim.app("static")
        assert isinstance(static, dict)
        websocket, websocket_at = claim.app("websocket")
        inner = [(path, (*static_at, path)) for path in static if path]
        inner += [(websocket, websocket_at)] if isinstance(websocket, str) else []
        for path, origin in inner:
            where = document.at(origin)
            if not path:
                hint = "`streaming: true` is for a whole tenant"
                yield Diagnostic(where, "websocket must be a path below the prefix", Code.BAD_VALUE, hint=hint)
                continue
            url = f"{claim.path or ''}/{path}".lstrip("/")
            if _first(url) == RESERVED:
                yield Diagnostic(where, f"paths below '/{RESERVED}' are atc's own", Code.BAD_NAME)
            elif claim.path is not None and url in tenants:
                hint = _other(tenants[url].position)
                yield Diagnostic(where, f"'/{url}' is another tenant", Code.PATH_CLASH, hint=hint)
            elif claim.path == "" and _first(url) in config.users:
                yield _belongs(document, where, url)


def _hosts(document: Document, config: Config) -> Iterator[Diagnostic]:
    seen: dict[str, Path] = {}
    written: list[tuple[str | None, Path]] = [
        (tenant.host, ("users", user, "tenants", path, "host"))
        for user, section in config.users.items()
        for path, tenant in section.tenants.items()
    ]
    written += [(route.host, ("routes", index, "host")) for index, route in enumerate(config.routes)]
    for name, origin in written:
        if name is not None and seen.setdefault(name, origin) != origin:
            hint = _other(document.at(seen[name]))
            said = f"host '{name}' is answered by two tenants"
            yield Diagnostic(document.at(origin), said, Code.PATH_CLASH, hint=hint)


def _routes(document: Document, config: Config) -> Iterator[Diagnostic]:
    seen: dict[str, int] = {}
    for index, route in enumerate(config.routes):
        if route.name and route.endpoint is None and route.host is None and not slug(route.name):
            where = document.value_at(("routes", index, "name"))
            hint = "give the route an endpoint"
            yield Diagnostic(where, f"'{route.name}' has no letter a URL can hold", Code.BAD_NAME, hint=hint)
        database = infer(route).database
        if seen.setdefault(database, index) != index:
            said = f"database '{database}' belongs to two routes"
            yield Diagnostic(document.at(("routes", index, "database")), said, Code.NAME_CLASH)
    for app, origin in app_levels(config):
        if len(set(app.databases)) != len(app.databases):
            where = document.value_at((*origin, "databases"))
            yield Diagnostic(where, "a database is given twice", Code.NAME_CLASH)


def _files(document: Document, claims: list[Claim]) -> Iterator[Diagnostic]:
    """Directories that are copied: each once, and none of them is a database of a tenant that has both."""
    seen = set()
    for claim in claims:
        (files, origin), (databases, _) = claim.app("files"), claim.app("databases")
        assert isinstance(files, list)
        assert isinstance(databases, list)
        for said in _clashes(files, databases):
            where = document.value_at(origin)
            if (where, said) not in seen:
                seen.add((where, said))
                yield Diagnostic(where, said, Code.NAME_CLASH)


def _clashes(files: list[str], databases: list[str]) -> Iterator[str]:
    for index, each in enumerate(files):
        for other in files[:index]:
            if each == other:
                yield f"the directory '{each}' is given twice"
            elif each.startswith(f"{other}/") or other.startswith(f"{each}/"):
                yield f"one of the directories '{other}' and '{each}' lies in the other"
        for database in databases:
            if each == database or each.startswith(f"{database}/"):
                yield f"'{each}' cannot be a directory: '{database}' is a database"


def _store(document: Document, config: Config, host: Host) -> Iterator[Diagnostic]:
    text = expand_environment(config.storage.replica or "", host.environ)
    if not text:
        return
    where = document.value_at(("storage", "replica"))
    problem = url_problem(text)
    if problem:
        yield Diagnostic(where, f"storage.replica: {problem}", Code.BAD_VALUE)
        return
    missing = here_problem(store_url(text, host), host)
    if missing:
        hint = "tenants do not start without it"
        yield Diagnostic(where, f"storage.replica: {missing}", Code.NO_STORE, Severity.WARNING, hint)


def _shared(document: Document, config: Config, host: Host) -> Iterator[Diagnostic]:
    """An atc.yml that machines take from a store has to be signed."""
    if config.fleet.config is None:
        return
    where, text = document.value_at(("fleet", "config")), expand_environment(config.fleet.config, host.environ)
    problem = url_problem(text) if text is not None else ""
    if problem:
        yield Diagnostic(where, f"fleet.config: {problem}", Code.BAD_VALUE)
    if not config.fleet.secret:
        hint = "set fleet.secret, such as ${ENV:FLEET_SECRET}"
        yield Diagnostic(where, "fleet.config: nothing signs what is taken from there", Code.MISSING_KEY, hint=hint)


def _old_nginx(document: Document, host: Host) -> Iterator[Diagnostic]:
    if () < host.nginx_version < (1, 27, 4):
        version = ".".join(str(each) for each in host.nginx_version)
        said = f"nginx {version}: a reload can lose requests on idle keep-alive connections"
        where = document.at(("server",))
        hint = "nginx 1.27.4 and newer lose none"
        yield Diagnostic(where, said, Code.LOST_ON_RELOAD, Severity.WARNING, hint)
