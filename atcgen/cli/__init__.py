"""The `atc` command: arguments, exit codes, printing. The only room that prints or reads the environment."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, NoReturn

import click

from atcgen.errors import AtcError, Rejected

_COMMANDS = {
    "init": "atcgen.cli.init",
    "import": "atcgen.cli.importing",
    "run": "atcgen.cli.run",
    "check": "atcgen.cli.check",
    "build": "atcgen.cli.build",
    "plan": "atcgen.cli.plan",
    "diff": "atcgen.cli.diff",
    "explain": "atcgen.cli.explain",
    "status": "atcgen.cli.control:status",
    "start": "atcgen.cli.control:start",
    "stop": "atcgen.cli.control:stop",
    "restart": "atcgen.cli.control:restart",
    "metrics": "atcgen.cli.control:metrics",
    "logs": "atcgen.cli.control:logs",
    "backup": "atcgen.cli.backup",
    "tenant": "atcgen.cli.tenant",
    "user": "atcgen.cli.user",
    "push": "atcgen.cli.push",
    "pull": "atcgen.cli.pull",
    "history": "atcgen.cli.history",
    "rollback": "atcgen.cli.rollback",
    "release": "atcgen.cli.release",
    "fleet": "atcgen.cli.fleet",
    "schema": "atcgen.cli.schema",
    "store": "atcgen.cli.store",
    "reference": "atcgen.cli.reference",
}
_WRITES = {
    "build": "written",
    "run": "written",
    "store": "written",
    "release": "written",
    "push": "pushed",
    "rollback": "pushed",
}
_INTERNAL = {"store", "reference"}


class _LateCommands(click.Group):
    """Imports a command when it is used, so that `atc --help` is quick."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except SystemExit as end:
            if "obstore" in sys.modules and isinstance(end.code, int):
                _leave(end.code)
            raise

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [each for each in _COMMANDS if each not in _INTERNAL]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name or "command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Rejected as rejected:
            for each in rejected.diagnostics:
                click.echo(str(each), err=True)
            if ctx.invoked_subcommand in _WRITES:
                click.echo(f"nothing was {_WRITES[ctx.invoked_subcommand]}", err=True)
            sys.exit(rejected.exit_code)
        except AtcError as problem:
            click.echo(f"error: {problem}", err=True)
            if problem.hint:
                click.echo(f"    hint: {problem.hint}", err=True)
            sys.exit(problem.exit_code)


def _leave(code: int) -> NoReturn:
    """End at once: threads of the store's client may still be at work, and abort an interpreter that is torn down."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@click.group(cls=_LateCommands)
@click.version_option(package_name="atcgen", prog_name="atc")
def main() -> None:
    """Many tenants of one web application: woken by a request, asleep when idle.

    Everything is said in one file, atc.yml. Exit codes: 0 done, 1 the file has errors, 2 wrong command line, 3 the
    running system did not take it.
    """
