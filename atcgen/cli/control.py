"""`atc status|start|stop|restart|logs`: about the tenants of a running atc, asked over its control socket."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from atcgen.cli.source import home_of, json_option, running_options
from atcgen.cli.times import ago
from atcgen.compiler.plan import TenantPlan, load
from atcgen.errors import Unavailable
from atcgen.system.agent import ask, ask_for_text

NOT_COPIED = "databases are on this machine only; storage.replica says where they are copied"
_COLOURS = {"ready": "green", "switching": "green", "failed": "red", "stopped": "dim"}


@click.command("status")
@click.argument("tenant", required=False)
@running_options
@json_option
def status(tenant: str | None, file: Path | None, state: Path | None, as_json: bool) -> None:
    """Show what every tenant does, and whether atc.yml is what runs; or all that is known of one TENANT."""
    if tenant is not None:
        _show_one(home_of(file, state), tenant.strip("/") or "/", as_json)
        return
    _, said = ask(home_of(file, state), "GET", "/status")
    if as_json:
        click.echo(json.dumps(said, indent=2))
        return
    print_tenants(said["tenants"], lambda each: str(each["id"]))
    for line in (*_about_copies(said), about_sleep(said["machine"])):
        click.echo(line)
    for line in _about_editions(said["shared"] or {}):
        click.echo(line)
    if said["release"]["held"]:
        click.echo(about_release(said["release"]))
    for each in said["tenants"]:
        if each["is_behind"]:
            click.echo(f"warning: {each['id']}: {each['copies']}", err=True)
    if said["problem"]:
        click.echo(f"atc.yml is not what runs:\n{said['problem']}", err=True)


def _show_one(home: Path, tenant: str, as_json: bool) -> None:
    from atcgen.cli.detail import print_detail

    code, said = ask(home, "POST", "/look", tenant)
    if code == 404:
        raise Unavailable(said["error"], hint="atc status lists them")
    if as_json:
        click.echo(json.dumps(said, indent=2))
    else:
        print_detail(said)


def _about_copies(said: dict[str, Any]) -> Iterator[str]:
    if not said["store"]:
        yield NOT_COPIED
    elif said["drill"]:
        drill = said["drill"]
        result = f"FAILED: {drill['problem']}" if drill["problem"] else "went well"
        yield f"last restore on trial: {drill['tenant']}, {ago(drill['at'])}, {result}"


def _about_editions(shared: dict[str, Any]) -> Iterator[str]:
    if shared.get("edition"):
        yield f"edition {shared['edition']} of atc.yml{', edited here' if shared['edited'] else ''}"
    if shared.get("refused"):
        yield f"edition {shared['refused']} is not run: {shared['why']}"
    if shared.get("problem"):
        yield f"there may be a newer edition of atc.yml: {shared['problem']}"


def about_release(release: dict[str, Any]) -> str:
    """How far a release is; in one line."""
    kept = f"{len(release['held'])} tenants are in the directory before it"
    if release["rolling"]:
        return f"a release is rolled out: {kept}"
    return f"the release stopped, {kept}: {release['problem'].partition(chr(10))[0]}"


def about_sleep(machine: dict[str, Any]) -> str:
    """Whether the machine goes to sleep, and when, or why not; in one line."""
    verb = {"suspend": "is suspended", "stop": "is stopped", "end": "ends"}.get(machine["then"], "sleeps")
    problem = f"; the last attempt failed: {machine['problem'].partition(chr(10))[0]}" if machine["problem"] else ""
    if machine["why_not"]:
        return f"machine: {machine['state']}, stays up: {machine['why_not']}{problem}"
    if machine["sleeps_in"] is None:
        return f"machine: {machine['state']}{problem}"
    return f"machine: {machine['state']}, {verb} in {machine['sleeps_in']:.0f}s{problem}"


def print_tenants(tenants: list[dict[str, Any]], name: Callable[[dict[str, Any]], str]) -> None:
    """A table of tenants; without lines and colours when it is piped."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=None, pad_edge=False, show_header=console.is_terminal)
    copied = any(each["copies"] for each in tenants)
    for title in ("tenant", "state", "last request", *(("copies",) if copied else ()), "reason"):
        table.add_column(title, no_wrap=title == "tenant", overflow="fold")
    for each in tenants:
        state = Text(each["state"], style=_COLOURS.get(each["state"], "yellow"))
        style = "red" if each["is_behind"] else ""
        copies = (Text(_copies(each).partition(":")[0] if style else _copies(each), style=style),) if copied else ()
        reason = Text(each["reason"].partition("\n")[0])
        table.add_row(Text(name(each)), state, ago(each["last_access"]), *copies, reason)
    if not console.is_terminal:
        console = Console(width=max((len(name(each)) + 160 for each in tenants), default=80))
    console.print(table)


def _copies(tenant: dict[str, Any]) -> str:
    """What is known of its copies; of those that go on, when the store last had everything."""
    moment = tenant.get("copied_at")
    return f"copied {ago(moment)}" if tenant["copies"] == "copied" and moment else str(tenant["copies"])


def _order(name: str, summary: str) -> click.Command:
    """A command that tells the agent to do something with one tenant, and waits until it is done."""

    @click.command(name, help=summary)
    @click.argument("tenant")
    @running_options
    @json_option
    def command(tenant: str, file: Path | None, state: Path | None, as_json: bool) -> None:
        code, said = ask(home_of(file, state), "POST", f"/{name}", tenant.strip("/") or "/")
        if code == 404:
            raise Unavailable(said["error"], hint="atc status lists them")
        if as_json:
            click.echo(json.dumps(said, indent=2))
        elif said["state"] != "failed":
            click.echo(f"{said['id']}: {said['state']}")
        if said["state"] == "failed":
            raise Unavailable(f"{said['id']}: {said['reason']}", hint=f"atc logs {said['id']}")

    return command


start = _order("start", "Start a tenant, named by its path such as bellevue/2025/winter, and wait until it is ready.")
stop = _order("stop", "Stop a tenant once its requests have ended; the next request wakes it again.")
restart = _order("restart", "Restart a tenant without losing a request.")


@click.command("metrics")
@running_options
def metrics(file: Path | None, state: Path | None) -> None:
    """Print what a running atc has counted and measured, in the text format of Prometheus."""
    click.echo(ask_for_text(home_of(file, state), "GET", "/metrics")[1], nl=False)


@click.command("logs")
@click.argument("tenant")
@click.option("-n", "--lines", default=100, show_default=True, help="How many of the last lines of each file.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on.")
@running_options
def logs(tenant: str, lines: int, follow: bool, file: Path | None, state: Path | None) -> None:
    """Print what the processes of a tenant said: oldest file first, builds and migrations included."""
    home = home_of(file, state)
    plan = tenant_of(home, tenant.strip("/") or "/")
    found = [*Path(plan.log).parent.glob(f"{plan.program}.[0-9].log")]
    found += [each for each in [home / f"logs/builds/{plan.build}.log"] if plan.build and each.exists()]
    files = sorted(found, key=lambda each: each.stat().st_mtime)
    if not files:
        raise Unavailable(f"{plan.id} has said nothing yet")
    follows = ["--follow=name", "--retry"] if follow else []
    os.execvp("tail", ["tail", "-q", f"--lines={lines}", *follows, *map(str, files)])


def tenant_of(home: Path, name: str) -> TenantPlan:
    """A tenant of the generation that runs, or ran last; raises `Unavailable` when there is none."""
    try:
        plan = load((home / "current/plan.json").read_text(encoding="utf-8"))
    except OSError:
        raise Unavailable(f"no atc ran with the state directory {home}", hint="start it with: atc run") from None
    found = next((each for each in plan.tenants if each.id == name), None)
    if found is None:
        raise Unavailable(f"no tenant of this machine is called {name!r}", hint="atc status lists them")
    return found
