"""What is run once per release, for all tenants of one directory: the build of the application."""

from __future__ import annotations

import hashlib
import os.path
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from atcgen.compiler import interpolate
from atcgen.compiler.commands import command_words
from atcgen.compiler.names import BUILD, application_path, program_name
from atcgen.compiler.plan import BuildPlan, Host, Paths, TenantPlan
from atcgen.compiler.tenancy import Wanted

Pair = tuple[Wanted, TenantPlan]
_LONGEST_NAME = 40


def with_builds(
    pairs: Iterable[Pair], host: Host, paths: Paths
) -> tuple[tuple[TenantPlan, ...], tuple[BuildPlan, ...]]:
    """The tenants, each with the name of the build it waits for, and these builds."""
    pairs = list(pairs)
    groups: dict[tuple[str, str], list[Pair]] = {}
    for wanted, tenant in pairs:
        if wanted.app.build.strip():
            groups.setdefault((tenant.root, wanted.app.build), []).append((wanted, tenant))
    builds = {key: _build(group, host, paths) for key, group in sorted(groups.items())}
    tenants = []
    for wanted, tenant in pairs:
        found = builds.get((tenant.root, wanted.app.build))
        tenants.append(replace(tenant, build=found.program) if found else tenant)
    return tuple(tenants), tuple(builds.values())


def _build(group: Sequence[Pair], host: Host, paths: Paths) -> BuildPlan:
    """One build: what its tenants agree about, and nothing else."""
    wanted, tenant = group[0]
    values = {
        "app.root": tenant.root,
        "app.path": application_path(interpolate.expand(wanted.app.root, {}, host.environ)),
        "shims": host.shims,
    }
    run = command_words(wanted.app.build, values, host)
    users = {each.unix_user for _, each in group}
    user = users.pop() if len(users) == 1 else ""
    releases = {each.release for _, each in group}
    said = repr((tenant.root, run, user)).encode()
    name = program_name(os.path.basename(tenant.root))[:_LONGEST_NAME]
    program = f"{BUILD}{name}-{hashlib.sha256(said).hexdigest()[:10]}"
    private = {each.private.paths if each.private else () for _, each in group}
    environments = [set(_environment(each, values, host)) for each, _ in group]
    return BuildPlan(
        program=program,
        origin=tenant.origin,
        root=tenant.root,
        run=run,
        env=tuple(sorted(set.intersection(*environments))),
        release=releases.pop() if len(releases) == 1 else "",
        private=private.pop() if len(private) == 1 else tuple(sorted({one for each in private for one in each})),
        unix_user=user,
        timeout=max(each.app.build_timeout for each, _ in group),
        record=f"{paths.builds}/{program}",
        log=f"{paths.logs}/builds/{program}.log",
    )


def _environment(wanted: Wanted, values: dict[str, str], host: Host) -> Iterator[tuple[str, str]]:
    """The variables that speak of no tenant."""
    for name, text in wanted.app.env.items():
        used = interpolate.names(text)
        if all(each in values or interpolate.environment_name(each) for each in used):
            yield name, interpolate.expand(text, values, host.environ)
