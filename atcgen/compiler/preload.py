"""Which process is forked to wake a tenant: one for all of the same code, the same user and the same surroundings.

What they share is told from what is one tenant's by where it is written: a variable is known to the zygote if `app.env`
at the top, or the preset, has it, and its value names nothing of a tenant.
"""

from __future__ import annotations

import hashlib
import os.path
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from atcgen.compiler import interpolate
from atcgen.compiler.claims import Claim
from atcgen.compiler.commands import is_shell
from atcgen.compiler.names import ZYGOTE
from atcgen.compiler.plan import Host, Paths, PreloadPlan, PrivatePlan
from atcgen.compiler.private import claim_key, private_plan
from atcgen.compiler.schema import App, Config
from atcgen.compiler.source import Document
from atcgen.diagnostics import Code, Diagnostic, Severity
from atcgen.platforms import PLATFORMS

KNOWN = "gunicorn, uvicorn, hypercorn, daphne, waitress-serve, python, puma and bundle exec puma"
_PYTHON = re.compile(r"gunicorn|uvicorn|hypercorn|daphne|waitress-serve|python[0-9.]*")
# What languages read before any code of an application runs, wherever it is written.
_EARLY = re.compile(r"(PYTHON|BUNDLE_|GEM_|RUBY|RAILS_ENV\Z|RACK_ENV\Z|LANG\Z|LC_|LD_|MALLOC_|TZ\Z)")
_SAME_FOR_ALL = ("app.root", "shims")


def preloadable(start: str) -> tuple[str, str]:
    """The language of a command and the part of it that says what runs; ('', '') when nothing can be preloaded."""
    try:
        words = [] if is_shell(start) else shlex.split(start)
    except ValueError:
        words = []
    if words and _PYTHON.fullmatch(os.path.basename(words[0])):
        is_known = not os.path.basename(words[0]).startswith("python") or _is_script(words[1:])
        return ("python", words[0]) if is_known else ("", "")
    if words and os.path.basename(words[0]) == "puma":
        return "ruby", words[0]
    if [os.path.basename(words[0]) if words else "", *words[1:3]] == ["bundle", "exec", "puma"]:
        return "ruby", shlex.join(words[:3])
    return "", ""


def check_preload(document: Document, claims: list[Claim], host: Host) -> Iterator[Diagnostic]:
    """Commands of which nothing can be loaded before a tenant is known, and tenants that a fork cannot become."""
    seen = set()
    for claim in claims:
        preload, origin = claim_key(claim, "preload")
        for said in _problems(claim, host) if preload else ():
            if (origin, said) not in seen:
                seen.add((origin, said))
                yield Diagnostic(document.value_at(origin), *said)


def _problems(claim: Claim, host: Host) -> Iterator[tuple[str, Code, Severity, str]]:
    command = str(claim_key(claim, "start")[0])
    if not preloadable(command)[0]:
        said = f"app.preload: nothing of '{command}' can be loaded beforehand"
        hint = f"it can be for {KNOWN}, where no shell is needed"
        yield said, Code.BAD_VALUE, Severity.ERROR, hint
        return
    keys: dict[str, Any] = {key: claim_key(claim, key)[0] for key in ("private", "private_by", "user", "databases")}
    app = App.model_construct(None, **keys)
    private = private_plan(app, "", app.databases, host, ())
    if not _can_become(app, private):
        said = "app.preload: such a tenant is started in the ordinary way, because of `app.private`"
        hint = "it is forked where private directories are mounted, and no `user` is set"
        yield said, Code.BAD_VALUE, Severity.WARNING, hint


def _can_become(app: App, private: PrivatePlan | None) -> bool:
    """Can a fork have what is the tenant's own? Only root enters mounts, and a copy has other paths."""
    return private is None or (private.by == "mount" and not app.user)


def _is_script(words: list[str]) -> bool:
    return bool(words) and (not words[0].startswith("-") or (words[0] == "-m" and len(words) > 1))


def preload_plan(
    app: App,
    start: str,
    values: Mapping[str, str],
    root: str,
    config: Config,
    host: Host,
    paths: Paths,
    private: PrivatePlan | None,
) -> PreloadPlan | None:
    """The zygote of a tenant, if it has one."""
    kind, command = preloadable(start)
    if not app.preload or not kind or not _can_become(app, private):
        return None
    command = interpolate.expand(command, values, host.environ)
    env = tuple(sorted(_shared(app, config, values, host).items()))
    release = interpolate.expand(app.release, values, host.environ)
    told = repr((kind, command, root, app.user or "", release, env))
    program = f"{ZYGOTE}{hashlib.sha256(told.encode()).hexdigest()[:10]}"
    directory, log = f"{paths.run}/{program}", f"{paths.logs}/{program}.log"
    return PreloadPlan(program, kind, command, root, app.user or "", env, directory, log)


def _shared(app: App, config: Config, values: Mapping[str, str], host: Host) -> dict[str, str]:
    above = {*config.app.env, *PLATFORMS[app.platform].app.get("env", {})}
    return {
        name: interpolate.expand(text, values, host.environ)
        for name, text in app.env.items()
        if (name in above or _EARLY.match(name)) and all(map(_is_same_for_all, interpolate.names(text)))
    }


def _is_same_for_all(name: str) -> bool:
    return name in _SAME_FOR_ALL or interpolate.environment_name(name) is not None
