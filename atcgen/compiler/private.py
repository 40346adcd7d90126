"""What tenants of one release have each a version of their own of: directories and files that lie in the release."""

from __future__ import annotations

import os.path
from collections.abc import Iterator, Sequence

from atcgen.compiler.claims import Claim
from atcgen.compiler.interpolate import expand_environment
from atcgen.compiler.paths import absolute
from atcgen.compiler.plan import Host, PrivatePlan, StaticPlan
from atcgen.compiler.schema import App, Config, StaticDirectory
from atcgen.compiler.source import Document
from atcgen.compiler.storage import store_url
from atcgen.diagnostics import Code, Diagnostic, Severity
from atcgen.platforms import PLATFORMS

# Nobody misses what is in these.
_PASSING = frozenset({"tmp", "log", "logs", "cache"})


def private_plan(
    app: App, program: str, databases: Sequence[str], host: Host, outside: tuple[str, ...]
) -> PrivatePlan | None:
    """How a tenant gets its own; `outside` are directories that are no part of any release."""
    if not app.private:
        return None
    files = tuple(each for each in app.private if _is_file(each, databases))
    directories = tuple(each.rstrip("/") for each in app.private if each not in files)
    mounts = app.private_by == "mount" or (app.private_by == "auto" and host.can_mount and not files)
    by = "mount" if mounts else "copy"
    return PrivatePlan(by, directories, files, f"{host.state}/copies/{program}", outside)


def sent_files(program: str, directory: str, private: PrivatePlan | None) -> tuple[StaticPlan, ...]:
    """What a tenant may let nginx send of its own: its data, and its copies of the release, which lead there."""
    data = StaticPlan(f"/_atc/files/{program}/", "", f"{directory}/", "")
    if private is None or private.by != "copy":
        return (data,)
    return data, StaticPlan(f"/_atc/copies/{program}/", "", f"{private.copies}/", "")


def sendfile_mapping(
    root: str, private: PrivatePlan | None, own: Sequence[StaticPlan], app: Sequence[StaticPlan]
) -> str:
    """The header that tells an application how nginx calls its files; the first that fits counts."""
    inner: list[str] = []
    if private and private.by == "mount" and own:
        inner = [f"{root.rstrip('/')}/{each}/={own[0].location}{each}/" for each in private.directories]
    return ",".join([*inner, *(f"{each.directory}={each.location}" for each in (*own, *app))])


def _is_file(path: str, databases: Sequence[str]) -> bool:
    return path in databases or "." in path.rpartition("/")[2][1:]


def check_private(document: Document, config: Config, claims: Sequence[Claim], host: Host) -> Iterator[Diagnostic]:
    """Private paths that cannot be, or that hide something."""
    seen = set()
    for claim in claims:
        private, origin = claim_key(claim, "private")
        assert isinstance(private, list)
        if private:
            for said in _of_claim(claim, private, config, host):
                found = Diagnostic(document.value_at(origin), *said)
                if found not in seen:
                    seen.add(found)
                    yield found


_Said = tuple[str, Code, Severity, str]


def _of_claim(claim: Claim, private: list[str], config: Config, host: Host) -> Iterator[_Said]:
    names = [each.rstrip("/") for each in private]
    databases = claim_key(claim, "databases")[0]
    static = claim_key(claim, "static")[0]
    assert isinstance(databases, list)
    assert isinstance(static, dict)
    yield from ((said, Code.NAME_CLASH, Severity.ERROR, "") for said in _clashes(private, databases))
    for each in static.values():
        assert isinstance(each, StaticDirectory)
        directory = os.path.normpath(each.dir)
        for name in names:
            if _within(directory, name):
                said = f"app.private: '{name}' is each tenant's own, and nginx would serve the one of the release"
                yield said, Code.BAD_VALUE, Severity.ERROR, f"`static` names '{each.dir}'"
    yield from _way(claim, private, databases, host)
    root = expand_environment(str(claim_key(claim, "root")[0]), host.environ)
    if root is not None:
        yield from _in_release(absolute(host.base, root), names, config, host)


def _clashes(private: list[str], databases: list[str]) -> Iterator[str]:
    names = [each.rstrip("/") for each in private]
    for index, each in enumerate(names):
        for other in names[:index]:
            if each == other:
                yield f"app.private: '{each}' is given twice"
            elif _within(each, other) or _within(other, each):
                yield f"app.private: one of '{other}' and '{each}' lies in the other"
        for database in databases:
            if (each == database and private[index].endswith("/")) or (each != database and _within(each, database)):
                yield f"app.private: '{private[index]}' cannot be a directory: '{database}' is a database"
            elif each != database and _within(database, each) and _is_file(private[index], databases):
                yield f"app.private: '{each}' cannot be a file: '{database}' lies in it"


def _way(claim: Claim, private: list[str], databases: list[str], host: Host) -> Iterator[_Said]:
    """What stands against mounting."""
    if claim_key(claim, "private_by")[0] != "mount":
        return
    files = [each for each in private if _is_file(each, databases)]
    if files:
        hint = "name the directory it is in, or leave `private_by` out"
        said = f"app.private_by: '{files[0]}' is a file, and files cannot be mounted"
        yield said, Code.BAD_VALUE, Severity.ERROR, hint
    if not host.can_mount:
        severity = Severity.ERROR if host.serving else Severity.WARNING
        said = "app.private_by: nothing can be mounted here, which needs root and the capability CAP_SYS_ADMIN"
        yield said, Code.BAD_VALUE, severity, "leave `private_by` out, and tenants get copies of the release"


def _in_release(root: str, names: list[str], config: Config, host: Host) -> Iterator[_Said]:
    kept = {"storage.volume": config.storage.volume, "the state directory": host.state}
    if config.storage.replica:
        url = expand_environment(config.storage.replica, host.environ) or ""
        kept["storage.replica"] = store_url(url, host).removeprefix("file://") if url.startswith("file:") else ""
    for name in names:
        path = absolute(root, name)
        for key, text in kept.items():
            directory = expand_environment(text, host.environ) if text else None
            if directory is None:
                continue
            other = absolute(host.base, directory)
            if _within(other, path) or _within(path, other):
                said = f"app.private: '{name}' and {key} lie in each other"
                yield said, Code.NAME_CLASH, Severity.ERROR, "keep what is of all tenants out of it"
        if name.partition("/")[0] not in _PASSING and host.holds_data(path):
            said = f"app.private: there is data in {path!r}, which no tenant will see"
            yield said, Code.HIDDEN_DATA, Severity.WARNING, "`atc backup adopt` makes it a tenant's; nothing deletes it"


def _within(path: str, directory: str) -> bool:
    return path == directory or path.startswith(f"{directory}/")


def claim_key(claim: Claim, key: str) -> tuple[object, tuple[str | int, ...]]:
    """A key of a tenant, and where it is said: by the platform when no level says it."""
    value, origin = claim.app(key)
    if any(key in app.model_fields_set for app, _ in claim.apps):
        return value, origin
    platform, origin_of_platform = claim.app("platform")
    preset = App.model_validate(PLATFORMS[str(platform)].app)
    return (getattr(preset, key), origin_of_platform) if key in preset.model_fields_set else (value, origin)
