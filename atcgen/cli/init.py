"""`atc init`: from an application to a service."""

from __future__ import annotations

import os
from pathlib import Path

import click

from atcgen.cli.source import compile_file
from atcgen.compiler.values import url_path
from atcgen.errors import AtcError, Unavailable
from atcgen.init.prefix import Finding, findings, sentences
from atcgen.init.prefix_rules import PUT_BACK
from atcgen.init.proposal import Change, Proposal, propose
from atcgen.init.survey import Survey, survey
from atcgen.init.written import TWO, Wanted
from atcgen.platforms import PLATFORMS
from atcgen.system.application import ApplicationTree
from atcgen.system.edits import publish

_FIRST = 5  # findings that are shown without --report


@click.command("init")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False, exists=True), default=Path())
@click.option("--multi", is_flag=True, help="Many tenants, and a page at / that lists them.")
@click.option("--tenant", "tenants", multiple=True, metavar="USER/PATH", help="A tenant of many; may be repeated.")
@click.option("--platform", type=click.Choice(list(PLATFORMS)), help="The framework, if it is not seen.")
@click.option("--start", default="", metavar="COMMAND", help="What starts the application, if it is not seen.")
@click.option("--replace", is_flag=True, help="Write an atc.yml anew that is there already.")
@click.option("--yes", is_flag=True, help="Change files that are there without asking.")
@click.option("--diff", "shows", is_flag=True, help="Show what would be written, and write nothing.")
@click.option("--report", is_flag=True, help="Show everything that will not survive a prefix.")
def command(
    directory: Path,
    multi: bool,
    tenants: tuple[str, ...],
    platform: str | None,
    start: str,
    replace: bool,
    yes: bool,
    shows: bool,
    report: bool,
) -> None:
    """Make a service of the application in a directory: look what it is, and write what atc needs beside it.

    The application itself is not changed. What is there already stays: running it twice changes nothing.
    """
    tree = ApplicationTree(directory)
    found = survey(tree, platform or "", start)
    wanted = Wanted(_tenants(tenants) or (TWO if multi else ()))
    proposal = propose(tree, found, wanted, replaces=replace)
    lost = findings(tree, found.platform.name, strips=found.strips)
    if shows:
        for each in proposal.changes:
            click.echo(each.diff())
        return
    _say_what_it_is(found)
    _write(directory, proposal.changes, yes)
    for said in (*found.detected.says, *proposal.says):
        click.echo(f"! {said}")
    _say_what_is_lost(lost, report)
    _say_what_is_next(directory, proposal, found)


def _tenants(given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    found = []
    for each in given:
        try:
            user, _, path = url_path(each).partition("/")
        except ValueError as problem:
            raise click.BadParameter(f"{each} {problem}", param_hint="--tenant") from None
        if not user:
            raise click.BadParameter("it is USER/PATH, such as bellevue/2025/winter", param_hint="--tenant")
        found.append((user, path))
    return tuple(found)


def _say_what_it_is(found: Survey) -> None:
    click.echo(f"{found.platform.title}: {found.detected.because}")
    if found.also:
        click.echo(f"it could be {', '.join(found.also)} as well: say --platform if that is meant")
    for each in found.databases:
        click.echo(f"a database: {each}")


def _write(directory: Path, changes: tuple[Change, ...], yes: bool) -> None:
    for each in changes:
        click.secho(str(each), fg="green" if each.before is None else "yellow")
    if any(each.before is not None for each in changes) and not yes:
        click.confirm("Change what is marked with '~'?", abort=True)
    for each in changes:
        place = directory / each.path
        try:
            if each.before is not None:
                publish(place, each.after)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("x", encoding="utf-8") as fresh:
                fresh.write(each.after)
        except OSError as problem:
            raise Unavailable(f"{place}: {problem.strerror}") from None
    if not changes:
        click.echo("nothing to write: everything is there")


def _say_what_is_lost(lost: list[Finding], report: bool) -> None:
    if not lost:
        return
    click.echo(f"{len(lost)} places will not survive a prefix such as /bellevue/2025/winter:")
    for line in sentences(lost if report else lost[:_FIRST]):
        click.echo(f"  {line}")
    mended = sum(each.kind in PUT_BACK for each in lost)
    if mended:
        click.echo(f"  `prefix: strip` in `app` would put {mended} of them right as they go out")
    if len(lost) > _FIRST and not report:
        click.echo("  … `atc init --report` shows all")


def _say_what_is_next(directory: Path, proposal: Proposal, found: Survey) -> None:
    file = directory / proposal.file
    named = "" if directory == Path() else f" -c {file}"
    try:
        compiled = compile_file(file, None, None, None)
    except AtcError:
        click.echo(f"next: atc check{named}")
        return
    plan = compiled.plan
    if found.databases and plan.tenants and not os.path.exists(plan.tenants[0].databases[0]):
        target = os.path.relpath(plan.tenants[0].databases[0], directory)
        click.echo(f"{found.databases[0]} stays what it is: for {plan.tenants[0].location} to begin with its data,")
        click.echo(f"copy it to {target} while the application is not running")
    click.echo(f"next: atc run{named}, and open http://localhost:{plan.server.listen[0].rpartition(':')[2]}/")
