"""Which rule answers a URL, for whom, on which machine: the decisions of nginx's configuration in words."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from urllib.parse import unquote, urlsplit

from atcgen.compiler.fleet_plan import Remote
from atcgen.compiler.plan import Plan, TenantPlan


@dataclass(frozen=True)
class Explanation:
    """What happens to a request."""

    url: str
    answer: str  # 'tenant', 'static', 'replay', 'redirect', 'health' or 'nobody'
    tenant: str  # its id, '' for nobody's
    target: str  # where the request goes: a socket, a directory, another machine, a URL
    origin: str  # where atc.yml says so, '' where it does not
    why: str

    def to_json(self) -> dict[str, str]:
        """The explanation as plain data."""
        return asdict(self)


def explain(plan: Plan, url: str, method: str = "GET") -> Explanation:
    """Explain a URL, or a path alone; a host without a scheme is taken for a path.

    The method counts only where rules of fleet.elsewhere name some.
    """
    parts = urlsplit(url if "://" in url else f"///{url.removeprefix('/')}")
    host, path = (parts.hostname or "").lower(), resolved(parts.path or "/")
    if plan.server.health_check_path and path == plan.server.health_check_path:
        return Explanation(url, "health", "", "nginx", "", "server.health_check_path is answered without waking anyone")
    for each in plan.commons:
        if path.startswith(each.location):
            return Explanation(url, "static", "", each.directory, "", "nginx serves the file, to all tenants alike")
    for tenant in plan.tenants:
        if tenant.host and tenant.host == host:
            return _local(url, path, tenant, f"its host is {host}")
    for remote in plan.remotes:
        if remote.host and remote.host == host:
            return _replayed(url, remote, f"its host is {host}")
    for rule in plan.fleet.rules:
        if re.match(rule.pattern.replace(r"\z", r"\Z"), f"{method} {path}"):
            if not rule.target:
                break
            return Explanation(
                url, "replay", "", rule.target, rule.origin, "a rule of fleet.elsewhere matches the path"
            )
    return _by_path(plan, url, path)


def resolved(path: str) -> str:
    """A path as nginx compares it: escapes decoded, `.` and `..` followed, doubled slashes merged."""
    segments: list[str] = []
    given = unquote(path, errors="replace").split("/")[1:]
    for each in given:
        if each == "..":
            del segments[-1:]
        elif each not in ("", "."):
            segments.append(each)
    is_directory = given[-1] in ("", ".", "..")
    return "/" + "/".join(segments) + ("/" if is_directory and segments else "")


def _by_path(plan: Plan, url: str, path: str) -> Explanation:
    found: TenantPlan | Remote | None = None
    everybody: list[TenantPlan | Remote] = [*plan.tenants, *plan.remotes]
    for each in everybody:
        if not each.host and _owns(each.path, path) and (found is None or len(each.path) > len(found.path)):
            found = each
    user = path.split("/")[1]
    at_home = next((each for each in plan.replays if each.key == user), None)
    if at_home and (found is None or not found.path):
        why = f"user '{user}' lives on another machine, which knows the rest"
        return Explanation(url, "replay", "", at_home.target, "", why)
    if isinstance(found, Remote):
        return _replayed(url, found, f"the longest prefix of the path is {found.path or '/'}")
    closed = any(_owns(each, path) for each in plan.closed)
    if found is None or (closed and not found.path):
        why = f"user '{user}' has no tenant there" if user in plan.users else "no tenant's prefix begins this path"
        return Explanation(url, "nobody", "", "404", "", why)
    return _local(url, path, found, f"the longest prefix of the path is {found.path or '/'}")


def _owns(prefix: str, path: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


def _replayed(url: str, remote: Remote, why: str) -> Explanation:
    return Explanation(url, "replay", remote.id, remote.target, remote.origin, f"{why}; another machine serves it")


def _local(url: str, path: str, tenant: TenantPlan, why: str) -> Explanation:
    if tenant.path and path == tenant.path:
        return Explanation(url, "redirect", tenant.id, tenant.location, tenant.origin, f"{why}; 308 adds the slash")
    for each in tenant.statics:
        if path.startswith(each.location):
            return Explanation(url, "static", tenant.id, each.directory, tenant.origin, f"{why}; nginx serves the file")
    if tenant.strips:
        why += f"; the application is asked for {path.removeprefix(tenant.path)}"
    if tenant.public and "." in path.rsplit("/", 1)[-1]:
        why += f"; a file of that name in {tenant.public[0].directory} would be served by nginx"
    return Explanation(url, "tenant", tenant.id, tenant.upstream, tenant.origin, why)
