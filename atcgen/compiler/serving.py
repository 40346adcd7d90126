"""The listener and what holds for the whole machine."""

from __future__ import annotations

from collections.abc import Sequence

from atcgen.compiler import interpolate
from atcgen.compiler.paths import absolute
from atcgen.compiler.plan import Host, Page, ServerPlan, SleepPlan
from atcgen.compiler.sayable import app_levels
from atcgen.compiler.schema import Config, Server

# Fly Proxy reaches a machine from these.
_FLY_NETWORKS = ("172.16.0.0/12", "fdaa::/16")
_EVERYBODY = ("0.0.0.0/0", "::/0")
_NGINX_LEVELS = {"debug": "info", "info": "warn", "warn": "warn", "error": "error"}
_SUPERVISOR_LEVELS = {"debug": "debug", "info": "info", "warn": "warn", "error": "error"}
_KEEPALIVE_MIN_TIMEOUT = 5_000  # hot enough for any client that is about to send on an idle connection
_POOL_LIFETIME = 400  # milliseconds; after a restart, for so long the old process may still answer
_UNPRIVILEGED = ("www-data", "nginx", "nobody")
_OWN_PAGES = (
    "starting.html",
    "starting.txt",
    "failed.html",
    "failed.txt",
    "elsewhere.html",
    "elsewhere.txt",
    "404.html",
    "413.html",
    "502.html",
)


def server_plan(config: Config, host: Host, tenants: Sequence[str], remotes: int) -> ServerPlan:
    """Everything about the machine's listener."""
    server = effective_server(config, host)
    level = "debug" if server.debug else server.log_level
    open_files = max(1024, min(host.open_files, 65_536))
    pages = _pages(server, host)
    longest = max((len(each) for each in (*tenants, *config.users)), default=0)
    return ServerPlan(
        listen=_listen(server, host),
        workers=max(1, min(host.cpus, 8)),
        worker_user=_worker_user(config, host),
        worker_connections=max(512, min(4096, open_files // 2)),
        open_files=open_files,
        health_check_path=f"/{server.health_check_path}" if server.health_check_path is not None else "",
        idle_timeout=_ms(server.http_idle_timeout),
        read_timeout=_ms(server.http_read_timeout),
        write_timeout=_ms(server.http_write_timeout),
        response_timeout=_ms(server.response_timeout),
        error_log_option=host.nginx_version >= (1, 19, 5),
        keepalive_min_timeout=_KEEPALIVE_MIN_TIMEOUT if host.nginx_version >= (1, 27, 4) else 0,
        pool_lifetime=_POOL_LIFETIME if host.nginx_version >= (1, 19, 10) else 0,
        max_request_body=server.max_request_body,
        log_level=_NGINX_LEVELS[level],
        supervisor_log_level=_SUPERVISOR_LEVELS[level],
        logs_requests=server.log_requests,
        compresses=server.gzip_compression_enabled,
        trusted=_trusted(server, host),
        cache_size=server.cache_size,
        cache_max_item_pattern=greater_than(server.max_cache_item_size),
        bad_gateway="/_atc/page/502.html",
        pages=pages,
        index=_index(server, host),
        hold=server.hold,
        max_waiting=server.max_waiting,
        boots=server.boots or max(1, host.cpus - 1),
        kill_timeout=server.kill_timeout,
        metrics=server.metrics or "",
        hash_bucket_size=128 if longest < 100 else 1024,
        hash_max_size=max(2048, 2 * (remotes + len(config.users))),
    )


def sleep_plan(config: Config, host: Host) -> SleepPlan:
    """When the machine goes to sleep: it is suspended only where a platform can be asked for that."""
    machine = config.idle.machine
    then = "nothing" if machine.then == "suspend" and not host.fly_api else machine.then
    app, name = (host.environ.get(each, "") for each in ("FLY_APP_NAME", "FLY_MACHINE_ID"))
    return SleepPlan(machine.after, then, host.fly_api, f"/v1/apps/{app}/machines/{name}" if host.fly_api else "")


def _worker_user(config: Config, host: Host) -> str:
    """Whom the workers run as: root only where every tenant does, since it reads files that tenants name."""
    if not host.is_root:
        return ""
    levels = [app.user for app, _ in app_levels(config)]
    if config.server.user or not any(levels):
        return config.server.user or host.user
    return next((each for each in _UNPRIVILEGED if each in host.unix_users), host.user)


def effective_server(config: Config, host: Host) -> Server:
    """The server section; with thruster's defaults for the one application of a command line.

    They are port 80, headers passed on, and every path is the application's.
    """
    server = config.server
    if not (config.is_alone and host.command):
        return server
    said = {key: getattr(server, key) for key in server.model_fields_set}
    defaults = {"http_port": 80, "forward_headers": True, "health_check_path": None}
    return server.model_copy(update=defaults | said)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _listen(server: Server, host: Host) -> tuple[str, ...]:
    if server.bind is not None:
        address = f"[{server.bind}]" if ":" in server.bind else server.bind
        return (f"{address}:{server.http_port}",)
    everywhere = (f"0.0.0.0:{server.http_port}",)
    return (*everywhere, f"[::]:{server.http_port}") if host.has_ipv6 else everywhere


def _trusted(server: Server, host: Host) -> tuple[str, ...]:
    if server.forward_headers:
        return _EVERYBODY
    if server.forward_headers is None and "trusted_proxies" not in server.model_fields_set:
        return _FLY_NETWORKS if "FLY_APP_NAME" in host.environ else ()
    return tuple(server.trusted_proxies)


def _pages(server: Server, host: Host) -> tuple[Page, ...]:
    """Our pages, each with the owner's, which is sent instead while it exists."""
    own = {
        "404.html": server.error_pages.get("404", ""),
        "413.html": server.error_pages.get("413", ""),
        "502.html": server.error_pages.get("502", server.bad_gateway_page),
        "starting.html": server.error_pages.get("503", ""),
        "failed.html": server.error_pages.get("503", ""),
        "elsewhere.html": server.error_pages.get("503", ""),
    }
    result = []
    for name in _OWN_PAGES:
        given = own.get(name, "")
        file = absolute(host.base, interpolate.expand(given, {}, host.environ)) if given else ""
        result.append(Page(f"/_atc/page/{name}", f"pages/{name}", file))
    return tuple(result)


def _index(server: Server, host: Host) -> tuple[Page, ...]:
    """The page that lists tenants: ours, or the owner's while it exists."""
    if server.index in ("", "false"):
        return ()
    is_own = server.index != "true"
    file = absolute(host.base, interpolate.expand(server.index, {}, host.environ)) if is_own else ""
    return (Page("/", file, "index/index.html"),)


def greater_than(limit: int) -> str:
    """A regular expression for decimal numbers above the limit: nginx can match, and cannot compare."""
    digits = str(limit)
    parts = [rf"[1-9]\d{{{len(digits)},}}"]
    for index, digit in enumerate(digits):
        if digit != "9":
            rest = len(digits) - index - 1
            higher = f"[{int(digit) + 1}-9]"
            parts.append(digits[:index] + higher + (rf"\d{{{rest}}}" if rest else ""))
    return "^(?:" + "|".join(parts) + r")\z"
