"""The section `fleet` to its part of the plan."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import re
from collections.abc import Collection
from urllib.parse import urlsplit

from atcgen.compiler import interpolate
from atcgen.compiler.fleet_plan import FleetPlan, HostPlan, Known, Rule
from atcgen.compiler.fleet_schema import Elsewhere, Fleet
from atcgen.compiler.place import Place
from atcgen.compiler.plan import Host
from atcgen.compiler.schema import Config
from atcgen.compiler.source import Document

_FLY_RESOLVER = "[fdaa::3]"


def shared_secret(config: Config, host: Host) -> str:
    """What all machines know and nobody else; '' when atc.yml does not say it."""
    return interpolate.expand(config.fleet.secret or "", {}, host.environ)


def app_of(fleet: Fleet, host: Host) -> str:
    """The app of Fly.io; '' where nothing says it."""
    return fleet.app or host.environ.get("FLY_APP_NAME", "")


def public_address(fleet: Fleet, host: Host) -> str:
    """Where everybody reaches the app; '' where nothing says it."""
    app = app_of(fleet, host)
    return fleet.address or (f"https://{app}.fly.dev" if app else "")


def fleet_plan(config: Config, document: Document, host: Host, uncached: Collection[str]) -> FleetPlan:
    """How requests reach other machines. `uncached`: users of whom not all tenants are on one machine."""
    fleet, secret = config.fleet, shared_secret(config, host)
    said: dict[str, str] = {}
    if fleet.replay.timeout:
        said["timeout"] = f"{round(fleet.replay.timeout * 1000)}ms"
    if fleet.replay.fallback:
        said["fallback"] = "force_self"
    given = host.environ.get("FLY_RESOLVER", "")
    elsewhere = tuple(without_own_app(each, fleet, host) for each in fleet.elsewhere)
    return FleetPlan(
        target=fleet.target,
        app=app_of(fleet, host),
        address=public_address(fleet, host),
        resolvers=(given or _FLY_RESOLVER,) if fleet.target == "fly" else host.resolvers,
        private_port=config.server.http_port,
        token=hmac.new(secret.encode(), b"hop", hashlib.sha256).hexdigest() if secret else "",
        replay_fields="".join(f";{key}={value}" for key, value in said.items()),
        replay_json="".join(f",{json.dumps(key)}:{json.dumps(value)}" for key, value in said.items()),
        replay_cache=int(fleet.replay.cache),
        uncached=tuple(sorted(uncached)),
        websocket_private=fleet.websocket == "private",
        steers=fleet.steer,
        rules=tuple(
            Rule(_pattern(each), _target(each, fleet, host), str(document.at(("fleet", "elsewhere", index))))
            for index, each in enumerate(elsewhere)
        ),
        known=tuple(sorted({_known(each) for each in elsewhere if each.app}, key=lambda each: each.target)),
        hosts=tuple(_host(name, each.url, host) for name, each in sorted(fleet.hosts.items())),
        authorities=host.authorities if any(each.url.startswith("https:") for each in fleet.hosts.values()) else "",
    )


def without_own_app(each: Elsewhere, fleet: Fleet, host: Host) -> Elsewhere:
    """An entry as a machine of this app has it: its own app goes without saying, or it would replay to itself."""
    return each.model_copy(update={"app": None}) if each.app and each.app == app_of(fleet, host) else each


def by_host(fleet: Fleet) -> bool:
    """Are machines hosts with names of their own?"""
    return fleet.target != "fly"


def _pattern(each: Elsewhere) -> str:
    """A regular expression for the method, a space and the path."""
    methods = f"(?:{'|'.join(each.methods)})" if each.methods else r"\S+"
    parts = re.split(r"(\*\*|\*)", each.path)
    path = "".join({"**": ".*", "*": "[^/]*"}.get(part) or re.escape(part) for part in parts)
    return f"^{methods} {path}\\z"


def _target(each: Elsewhere, fleet: Fleet, host: Host) -> str:
    if by_host(fleet) or not each.app:
        return Place(each.region, each.instance).target(host, by_host=by_host(fleet))
    return ";".join(f"{key}={value}" for key, value in _fields(each).items())


def _fields(each: Elsewhere) -> dict[str, str]:
    said = {"app": each.app, "region": each.region, "instance": each.instance}
    return {key: value for key, value in said.items() if value}


def _known(each: Elsewhere) -> Known:
    fields = _fields(each)
    name = f"{fields['app']}.internal"
    if each.instance:
        name = f"{each.instance}.vm.{name}"
    else:
        name = f"{each.region}.{name}" if each.region else f"top1.nearest.of.{name}"
    target = ";".join(f"{key}={value}" for key, value in fields.items())
    return Known(target, json.dumps(fields, separators=(",", ":"))[1:-1], name)


def _host(name: str, url: str, host: Host) -> HostPlan:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    group = f"atc_host_{name}"
    hostname = parts.hostname or ""
    try:
        bare = ipaddress.ip_address(hostname)
    except ValueError:
        if host.nginx_version < (1, 27, 3):  # it would not start while a name cannot be found
            direct = f"{parts.scheme}://{hostname}:{port}"
            return HostPlan(f"host={name}", "", direct, direct, group, hostname)
        server = f"{hostname}:{port} resolve"
    else:
        server = f"[{bare}]:{port}" if bare.version == 6 else f"{bare}:{port}"
    pool = f"{parts.scheme}://{group}"
    return HostPlan(f"host={name}", server, f"{pool}.keep", f"{pool}.once", group, hostname)
