"""`atc run`: compile, then become supervisord."""

from __future__ import annotations

import asyncio
import os
import sys
import xmlrpc.client
from contextlib import suppress
from pathlib import Path

import click

from atcgen.cli.control import NOT_COPIED
from atcgen.cli.following import chosen
from atcgen.cli.source import compile_file, file_options, find_file, state_directory
from atcgen.compiler import Compiled
from atcgen.compiler.plan import Plan
from atcgen.errors import AtcError, Unavailable
from atcgen.replica.site import vault
from atcgen.system import nginx
from atcgen.system.directories import make_state_directories
from atcgen.system.generations import activate, prune, remember_source, store
from atcgen.system.hooks import Surroundings, inherited, run_hooks
from atcgen.system.listen import held_addresses
from atcgen.system.private import forget_others
from atcgen.system.supervisor import Supervisor


@click.command("run", context_settings={"allow_interspersed_args": False})
@file_options
@click.argument("words", nargs=-1, metavar="[-- COMMAND...]", type=click.UNPROCESSED)
def command(
    file: Path | None, region: str | None, instance: str | None, state: Path | None, words: tuple[str, ...]
) -> None:
    """Serve every tenant of atc.yml until told to end; made for the entrypoint of a container.

    With a COMMAND and no atc.yml, serve that one application at / on port 80 as thruster does: PORT is set for it,
    text is compressed, public responses are cached, files are sent by nginx, and thruster's variables are heeded.
    """
    found = _file(file, words)
    _refuse_a_second(state_directory(found, state))

    def compiling(text: str) -> Compiled:
        return compile_file(found, state, region, instance, words, serving=True, text=text)

    what = chosen(found, state_directory(found, state), compiling)
    compiled = what.compiled
    for warning in compiled.warnings:
        click.echo(str(warning), err=True)
    plan = compiled.plan
    if not plan.store.url and not plan.alone:
        click.echo(NOT_COPIED, err=True)
    if plan.store.url:
        vault(plan.store, os.environ)  # the agent would find out too late
    home = Path(plan.paths.state)
    with held_addresses(plan):
        make_state_directories(plan)
        forget_others(plan)
        _run_start_hooks(plan)
        generation = store(home, compiled.files, plan.owners())
        remember_source(home, generation, what.text)
        nginx.test(generation.path / "nginx/nginx.conf", plan.server, Path(plan.paths.logs, "nginx.error.log"))
    activate(home, generation)
    prune(home)
    Path(plan.paths.control_socket).unlink(missing_ok=True)  # whoever answers there is not ours
    Path(plan.paths.asleep).unlink(missing_ok=True)  # what was asleep, or about to be, has ended
    _start_console(home)
    os.execv(
        sys.executable,
        [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(home / "current/supervisor/supervisord.conf")],
    )


def _run_start_hooks(plan: Plan) -> None:
    """What has to be done before anything listens; raises `Unavailable` when a hook fails."""
    hooks = [each for each in plan.hooks if each.event == "start"]
    if hooks:
        log = Path(plan.paths.logs, "hooks/_server.start.log")
        around = Surroundings(inherited(os.environ) | {"ATC_EVENT": "server.start"}, plan.base, log)
        problem = asyncio.run(run_hooks(hooks, around, asyncio.Semaphore(plan.hooks_at_once)))
        if problem:
            raise Unavailable(problem, hint=f"what it said is in {log}")


def _file(file: Path | None, words: tuple[str, ...]) -> Path:
    """The file; with a command there need not be one."""
    try:
        return find_file(file)
    except Unavailable:
        if file is not None or not words:
            raise
        return Path("atc.yml")


def _refuse_a_second(home: Path) -> None:
    try:
        Supervisor(str(home / "run/supervisor.sock")).processes()
    except Unavailable:
        return
    except xmlrpc.client.Fault:
        raise Unavailable(f"an atc with the state directory {home} is just ending", hint="try again") from None
    raise Unavailable(f"atc runs already with the state directory {home}", hint="an edit of atc.yml needs no restart")


def _start_console(home: Path) -> None:
    """Leave a process that prints what happens: this one is about to become supervisord, which prints nothing."""
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork() == 0:
        from atcgen.cli.console import show

        with suppress(OSError, AtcError):
            show(home, parent)
        os._exit(0)
