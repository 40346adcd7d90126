"""Rules across keys: no two tenants answer one URL, share a name or a database, and nothing is unsayable in nginx."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from atcgen.compiler.plan import Host
from atcgen.compiler.quoting import Unrepresentable, nginx_word
from atcgen.compiler.routes import infer
from atcgen.compiler.schema import App, Config
from atcgen.compiler.source import Document, Path
from atcgen.compiler.values import url_path
from atcgen.diagnostics import Code, Diagnostic, Severity

RESERVED = "_atc"


@dataclass(frozen=True)
class _Claim:
    """A URL somebody wants to answer, and where that is written."""

    path: str
    origin: Path
    is_route: bool


def cross_check(document: Document, config: Config, host: Host) -> list[Diagnostic]:
    """Everything that only shows when keys are looked at together."""
    return [
        *_spelt_twice(document),
        *_user_names(document, config),
        *_paths(document, config),
        *_hosts(document, config),
        *_databases(document, config),
        *_apps(document, config, host),
        *_nginx_words(document, config),
        *_unix_users(document, config, host),
        *_old_nginx(document, host),
    ]


def _spelt_twice(document: Document) -> Iterator[Diagnostic]:
    """`2025/winter` and `/2025/winter/` are one tenant to nginx, and two keys to YAML."""
    for user, section in (document.data.get("users") or {}).items():
        seen: dict[str, str] = {}
        for key in (section or {}).get("tenants") or {}:
            first = seen.setdefault(url_path(key), key)
            if first != key:
                where = document.at(("users", user, "tenants", key))
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


def _claims(config: Config) -> Iterator[_Claim]:
    for user, section in config.users.items():
        for path, tenant in section.tenants.items():
            if tenant.host is None:
                yield _Claim(f"{user}/{path}".rstrip("/"), ("users", user, "tenants", path), False)
    for index, route in enumerate(config.routes):
        if route.host is None:
            yield _Claim(infer(route).endpoint, ("routes", index), True)


def _paths(document: Document, config: Config) -> Iterator[Diagnostic]:
    claims: dict[str, _Claim] = {}
    health = config.server.health_check_path
    users = {user: ("users", user) for user in config.users}
    for claim in sorted(_claims(config), key=lambda each: document.at(each.origin)):
        where = document.at(claim.origin)
        first = claims.setdefault(claim.path, claim)
        if first is not claim:
            said = f"'/{claim.path}' is answered by two tenants"
            yield Diagnostic(where, said, Code.PATH_CLASH, hint=f"the other one is at {document.at(first.origin)}")
        if claim.path.split("/")[0] == RESERVED:
            yield Diagnostic(where, f"paths below '/{RESERVED}' are atc's own", Code.BAD_NAME)
        if claim.path and claim.path == health:
            said = f"'/{claim.path}' is `server.health_check_path`, which nginx answers itself"
            yield Diagnostic(where, said, Code.PATH_CLASH)
        if claim.is_route and claim.path.split("/")[0] in users:
            user = claim.path.split("/")[0]
            said = f"'/{claim.path}' lies in what belongs to user '{user}'"
            yield Diagnostic(where, said, Code.PATH_CLASH, hint=f"the user is at {document.at(users[user])}")
    for claim in claims.values():
        if not claim.is_route:
            yield from _nested(document, claim, claims)


def _nested(document: Document, claim: _Claim, claims: dict[str, _Claim]) -> Iterator[Diagnostic]:
    """A tenant below another one would be answered by it once it is removed or mistyped."""
    segments = claim.path.split("/")
    for length in range(1, len(segments)):
        outer = claims.get("/".join(segments[:length]))
        if outer:
            said = f"'/{claim.path}' lies below the tenant '/{outer.path}'"
            yield Diagnostic(
                document.at(claim.origin),
                said,
                Code.PATH_CLASH,
                hint=f"the other one is at {document.at(outer.origin)}",
            )


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
            hint = f"the other one is at {document.at(seen[name])}"
            yield Diagnostic(
                document.at(origin), f"host '{name}' is answered by two tenants", Code.PATH_CLASH, hint=hint
            )


def _databases(document: Document, config: Config) -> Iterator[Diagnostic]:
    seen: dict[str, int] = {}
    ids: dict[str, int] = {}
    for index, route in enumerate(config.routes):
        inferred = infer(route)
        if inferred.database and seen.setdefault(inferred.database, index) != index:
            said = f"database '{inferred.database}' belongs to two routes"
            yield Diagnostic(document.at(("routes", index, "database")), said, Code.NAME_CLASH)
        if route.host is not None and ids.setdefault(inferred.endpoint, index) != index:
            said = f"two routes are named '{inferred.endpoint or '/'}'"
            yield Diagnostic(document.at(("routes", index)), said, Code.NAME_CLASH, hint="give one an endpoint")


def _app_levels(config: Config) -> Iterator[tuple[App, Path]]:
    yield config.app, ("app",)
    for user, section in config.users.items():
        yield section.app, ("users", user, "app")
        for path, tenant in section.tenants.items():
            yield tenant.app, ("users", user, "tenants", path, "app")
    for index, route in enumerate(config.routes):
        yield route.app, ("routes", index, "app")


def _apps(document: Document, config: Config, host: Host) -> Iterator[Diagnostic]:
    for app, origin in _app_levels(config):
        for key in ("start", "prepare"):
            if "\n" in getattr(app, key).strip():
                where = document.value_at((*origin, key))
                yield Diagnostic(where, f"{key} must be one line", Code.BAD_VALUE, hint="put a script in a file")
        if len(set(app.databases)) != len(app.databases):
            where = document.value_at((*origin, "databases"))
            yield Diagnostic(where, "a database is given twice", Code.NAME_CLASH)


def _nginx_words(document: Document, config: Config) -> Iterator[Diagnostic]:
    """Paths that end up in nginx's configuration must be ones it can say."""
    written: list[tuple[str, Path]] = [
        (config.server.bad_gateway_page, ("server", "bad_gateway_page")),
        *((page, ("server", "error_pages", status)) for status, page in config.server.error_pages.items()),
        (config.storage.volume, ("storage", "volume")),
    ]
    for app, origin in _app_levels(config):
        written.append((app.root, (*origin, "root")))
        for path, directory in app.static.items():
            written.append((directory.dir, (*origin, "static", path, "dir")))
    for text, origin in written:
        try:
            nginx_word(text.replace("${ENV:", ""))
        except Unrepresentable as problem:
            yield Diagnostic(document.value_at(origin), str(problem), Code.UNREPRESENTABLE)


def _unix_users(document: Document, config: Config, host: Host) -> Iterator[Diagnostic]:
    written: list[tuple[str | None, Path]] = [(config.server.user, ("server", "user"))]
    written += [(app.user, (*origin, "user")) for app, origin in _app_levels(config)]
    for name, origin in written:
        if name is None:
            continue
        where = document.value_at(origin)
        if not name.replace("-", "").replace("_", "").isalnum():
            yield Diagnostic(where, f"'{name}' must be the name of a unix user", Code.BAD_NAME)
        elif host.unix_users and name not in host.unix_users:
            yield Diagnostic(where, f"this machine has no user '{name}'", Code.BAD_VALUE)
        elif not host.is_root and name != host.user:
            yield Diagnostic(where, f"only root can run something as '{name}'", Code.BAD_VALUE)


def _old_nginx(document: Document, host: Host) -> Iterator[Diagnostic]:
    if () < host.nginx_version < (1, 27, 4):
        version = ".".join(str(each) for each in host.nginx_version)
        said = f"nginx {version}: a reload can lose requests on idle keep-alive connections"
        where = document.at(("server",))
        hint = "nginx 1.27.4 and newer lose none"
        yield Diagnostic(where, said, Code.LOST_ON_RELOAD, Severity.WARNING, hint)
