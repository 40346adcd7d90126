"""Plan and templates to files: path to text. Templates only print; whatever they print is quoted for its language."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from atcgen.compiler.fleet_words import fleet_words
from atcgen.compiler.listing import by_user
from atcgen.compiler.plan import Plan, TenantPlan
from atcgen.compiler.quoting import ini_command_word, ini_value, nginx_word, shell_word
from atcgen.compiler.stripping import mended, strip_facts

if TYPE_CHECKING:
    import jinja2

Files = dict[str, str]
Templates = Mapping[str, str]

# The slot number of `prepare` in a launch script and in supervisord.
PREPARE_SLOT = 2
# What Fly Proxy adds to what it replays, and what clients steer it with: nothing that a tenant could believe.
STEERING = (
    "Fly-Replay-Src",
    "Fly-Replay-Failed",
    "Fly-Replay-Cache-Status",
    "Fly-Force-Instance-Id",
    "Fly-Prefer-Instance-Id",
    "Fly-Force-Region",
    "Fly-Prefer-Region",
)
# What litestream reads its credentials from. It has them; tenants have not.
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def render(plan: Plan, templates: Templates) -> Files:
    """Every file of a generation by its path below the generation's directory.

    Tenants are printed in the order of their names: moving one within atc.yml changes nothing.
    """
    ordered = replace(
        plan,
        tenants=tuple(sorted(plan.tenants, key=lambda each: each.program)),
        remote_prefixes=tuple(sorted(plan.remote_prefixes, key=lambda each: each.path)),
    )
    files = dict(_nginx(ordered, templates)) | dict(_supervisor(ordered, templates)) | dict(_index(ordered, templates))
    files["plan.json"] = plan.to_json()
    return files


def effective(text: str) -> str:
    """A rendered file without its comments, which name lines of atc.yml: what makes a difference to a program."""
    return "\n".join(line for line in text.split("\n") if line.strip() and line.lstrip()[0] not in "#;")


def nginx_version(files: Files) -> str:
    """What names the nginx part of a generation; the same for the same effect."""
    digest = hashlib.sha256()
    for path in sorted(files):
        if path.startswith("nginx/") and path != "nginx/version.conf":
            digest.update(f"{path}\n{effective(files[path])}\n".encode())
    return digest.hexdigest()[:16]


def _environment(templates: Templates, finalize: Callable[[object], str]) -> jinja2.Environment:
    import jinja2  # noqa: PLC0415 - the agent imports this module, and never renders

    def printed(value: object) -> str:
        if isinstance(value, jinja2.Undefined):
            str(value)  # raises, and names the variable
        return value if isinstance(value, _Spelt) else finalize(value)

    return jinja2.Environment(
        loader=jinja2.DictLoader(dict(templates)),
        undefined=jinja2.StrictUndefined,
        finalize=printed,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


class _Spelt(str):
    """Text that is already spelt for its language."""

    __slots__ = ()


def _spelt_all(said: Any) -> Any:
    return [(key, _Spelt(word)) for key, word in said] if isinstance(said, list) else _Spelt(said)


def _comment(text: str) -> _Spelt:
    """Text that ends neither its line nor anything else."""
    return _Spelt("".join(each if each.isprintable() else "?" for each in text))


def _tenant_view(plan: Plan, tenant: TenantPlan) -> dict[str, Any]:
    return vars(tenant) | {
        "url_keep": f"http://{tenant.pool_keep}",
        "url_once": f"http://{tenant.pool_once}",
        "strip_script": f"{tenant.path}/_atc/prefix.js",
        "routes_others": not tenant.path and not tenant.host and bool(plan.replays),
        "include": f"hosts/{tenant.program}.conf",
    }


def _nginx(plan: Plan, templates: Templates) -> Iterator[tuple[str, str]]:
    environment = _environment(templates, nginx_word)
    views = [_tenant_view(plan, each) for each in plan.tenants]
    paths, tmp = plan.paths, plan.paths.tmp
    context: dict[str, Any] = {
        "plan": plan,
        "paths": paths,
        "server": plan.server,
        "fleet": plan.fleet,
        "steered_users": sorted({each.user_id for each in plan.tenants if each.user_id and not each.host}),
        **strip_facts(plan),
        "mended": lambda before: _Spelt(mended(before)),
        "variable": lambda name, depth: _Spelt(f"${name}_{depth}"),
        "prefix_script": f"{paths.current}/nginx/prefix.js",
        "steer_file": f"{paths.current}/nginx/steer.js",
        "words": {key: _spelt_all(each) for key, each in fleet_words(plan).items()},
        "stripped": STEERING,
        "looks": plan.sends_elsewhere and plan.shared.is_followed,
        "believes": bool(plan.server.trusted or (plan.sends_elsewhere and plan.fleet.token)),
        "tenants": views,
        "path_tenants": [each for each in views if not each["host"]],
        "host_tenants": [each for each in views if each["host"]],
        "has_root": any(not each["host"] and not each["path"] for each in views),
        "app_files": sorted(
            {each for tenant in plan.tenants for each in tenant.app_files}, key=lambda each: each.location
        ),
        "pages": [vars(each) | {"own": f"{paths.current}/nginx/{each.own}"} for each in plan.server.pages],
        "index": [vars(each) | {"given": f"{paths.current}/{each.given}"} for each in plan.server.index],
        "tenants_page": f"{paths.current}/index/tenants.html",
        "nginx_error_log": f"{paths.logs}/nginx.error.log",
        "other_log": f"{paths.logs}/access/_other.log",
        "agent_upstream": f"unix:{paths.agent_socket}",
        "status_listen": f"unix:{paths.nginx_status}",
        "again_listen": f"unix:{paths.again}",
        "comment": _comment,
        "map_key": lambda key: _Spelt(nginx_word("\\" + key)),
        "spelt": _Spelt,
        "pattern": lambda text: _Spelt(nginx_word("~" + text)),
        "pattern_word": lambda text: _Spelt(nginx_word(text)),
        **{f"{kind}_tmp": f"{tmp}/{kind}" for kind in ("body", "proxy", "fastcgi", "uwsgi", "scgi")},
    }
    files = {}
    for name in ("nginx", "upstreams", "servers", "locations", "internal", "mime"):
        files[f"nginx/{name}.conf"] = environment.get_template(f"nginx/{name}.conf.j2").render(context)
    template = environment.get_template("nginx/tenant.conf.j2")
    for view in context["host_tenants"]:
        files[f"nginx/{view['include']}"] = template.render(context | {"tenant": view})
    if plan.fleet.steers:
        text = environment.get_template("nginx/steer.js.j2").render(context)
        files["nginx/steer.js"] = text
    for name in ("strip.conf", "mend.conf", "prefix.js") if context["strips"] else ():
        files[f"nginx/{name}"] = environment.get_template(f"nginx/{name}.j2").render(context)
    files |= {name: text for name, text in templates.items() if name.startswith("nginx/pages/")}
    context["version"] = nginx_version(files)
    files["nginx/version.conf"] = environment.get_template("nginx/version.conf.j2").render(context)
    yield from files.items()


def _index(plan: Plan, templates: Templates) -> Iterator[tuple[str, str]]:
    """The page that lists the tenants; not below nginx/, since nginx has not to be told when it changes."""
    if plan.server.index:
        pages = _environment(templates, lambda value: html.escape(str(value)))
        for name in ("index", "tenants"):
            page = pages.get_template(f"nginx/{name}.html.j2")
            yield f"index/{name}.html", page.render(users=by_user(plan.listed))


def _supervisor(plan: Plan, templates: Templates) -> Iterator[tuple[str, str]]:
    ini = _environment(templates, ini_value)
    current, logs = plan.paths.current, plan.paths.logs
    launch = f"{current}/launch"

    def command(*words: str) -> str:
        return " ".join(ini_command_word(each) for each in words)

    behind = _behind(plan.tenants[0]) if plan.tenants else ()
    programs = [
        vars(tenant)
        | {
            "command": _Spelt(command(*_launcher(tenant), f"{launch}/{tenant.program}.sh") + " %(process_num)d"),
            "processes": PREPARE_SLOT + 1 if tenant.prepare else tenant.slots,
            "stop_wait": max(1, round(tenant.stop_timeout)),
            "log": _Spelt(ini_value(tenant.log) + ".%(process_num)d.log"),
            "user": "" if _mounts(tenant) else tenant.unix_user,
        }
        for tenant in plan.tenants
    ]
    context: dict[str, Any] = {
        "paths": plan.paths,
        "comment": _comment,
        "log": f"{logs}/supervisord.log",
        "level": plan.server.supervisor_log_level,
        "serverurl": f"unix://{plan.paths.supervisor_socket}",
        "agent_socket": f"unix://{plan.paths.agent_socket}",
        "worker_user": plan.server.worker_user,
        "agent_command": _Spelt(command("/bin/sh", f"{launch}/_agent.sh") + " %(process_num)d"),
        "listener_command": _Spelt(command("/bin/sh", f"{launch}/_events.sh")),
        "nginx_command": _Spelt(command("/bin/sh", f"{launch}/_nginx.sh")),
        "kill_timeout": max(1, round(plan.server.kill_timeout)),
        "agent_log": f"{logs}/agent.log",
        "agent_log_events": f"{logs}/events.log",
        "nginx_log": f"{logs}/nginx.log",
        "programs": programs,
        "zygotes": [
            vars(each) | {"command": _Spelt(command(*behind, "/bin/sh", f"{launch}/{each.program}.sh"))}
            for each in plan.zygotes
        ],
        "builds": [
            vars(build) | {"command": _Spelt(command("/bin/sh", f"{launch}/{build.program}.sh"))}
            for build in plan.builds
        ],
        "backups": [
            vars(tenant.backup)
            | {
                "command": _Spelt(command("/bin/sh", f"{launch}/_replica.sh", tenant.backup.directory)),
                "log": f"{tenant.log}.replica.log",
                "origin": tenant.origin,
            }
            for tenant in plan.tenants
            if tenant.backup
        ],
    }
    yield "supervisor/supervisord.conf", ini.get_template("supervisor/supervisord.conf.j2").render(context)
    yield "supervisor/programs.conf", ini.get_template("supervisor/program.conf.j2").render(context)
    yield from _launch(plan, templates)


def _launcher(tenant: TenantPlan) -> tuple[str, ...]:
    """What runs the script of a tenant."""
    # What the machine mounts and unmounts is seen, and what is mounted for the tenant is seen nowhere else.
    apart = ("unshare", "--mount", "--propagation", "slave") if _mounts(tenant) else ()
    return (*_behind(tenant), *apart, "/bin/sh")


def _behind(tenant: TenantPlan) -> tuple[str, ...]:
    """What puts a process behind all that serve, if it boots behind them.

    That is not what `nice` does: since Linux 6.6 anybody may wait until the nicest has used up its slice.
    """
    return ("chrt", "-i", "0") if tenant.boots_behind else ()


def _mounts(tenant: TenantPlan) -> list[dict[str, str]]:
    """What is mounted for the processes of a tenant: what of its own over what of the release."""
    private = tenant.private
    if private is None or private.by != "mount":
        return []
    return [{"own": f"{tenant.directory}/{each}", "over": f"./{each}"} for each in private.directories]


def _withheld(plan: Plan, *, copies: bool) -> tuple[str, ...]:
    """Variables of the environment that are atc's own."""
    uses_store = copies or (plan.shared.is_followed and plan.shared.url.startswith("s3:"))
    return (CREDENTIALS if uses_store else ()) + (plan.shared.variables if plan.shared.is_followed else ())


def _launch(plan: Plan, templates: Templates) -> Iterator[tuple[str, str]]:
    shell = _environment(templates, shell_word)
    context = {
        "comment": _comment,
        "paths": plan.paths,
        "server": plan.server,
        "python": plan.python,
        "litestream": plan.litestream,
        "nginx": "nginx",
        "configuration": f"{plan.paths.current}/nginx/nginx.conf",
        "error_log": f"{plan.paths.logs}/nginx.error.log",
        "base": plan.base,
        "shims": plan.shims,
        "ask": f"{plan.shims}/preload/ask.py",
    }
    template = shell.get_template("supervisor/launch.sh.j2")
    for tenant in plan.tenants:
        view = vars(tenant) | {
            "stop_tries": round(tenant.stop_timeout * 10),
            "withheld": _withheld(plan, copies=tenant.backup is not None),
            "mounts": _mounts(tenant),
            "copies": tenant.private.copies if tenant.private and tenant.private.by == "copy" else "",
        }
        files = {
            "lock": f"{tenant.directory}/.prepare.lock",
            "pending": f"{tenant.directory}/.prepare.pending",
            "prepared": f"{tenant.directory}/.prepared",
        }
        yield f"launch/{tenant.program}.sh", template.render(context | files | {"tenant": view})
    template = shell.get_template("supervisor/zygote.sh.j2")
    copies = any(tenant.backup for tenant in plan.tenants)
    for zygote in plan.zygotes:
        view = vars(zygote) | {"socket": zygote.socket, "learned": zygote.learned}
        view |= {"withheld": _withheld(plan, copies=copies)}
        yield f"launch/{zygote.program}.sh", template.render(context | {"zygote": view})
    template = shell.get_template("supervisor/build.sh.j2")
    for build in plan.builds:
        view = vars(build) | {"withheld": _withheld(plan, copies=copies)}
        yield f"launch/{build.program}.sh", template.render(context | {"lock": f"{build.record}.lock", "build": view})
    for name in ("nginx", "agent", "events", *(("replica",) if copies else ())):
        yield f"launch/_{name}.sh", shell.get_template(f"supervisor/{name}.sh.j2").render(context)
