"""`atc status|start|stop|restart`: ask the running agent, over its control socket."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

import click

from atcgen.cli.source import find_file
from atcgen.errors import Unavailable

_STATE = click.option("--state", type=click.Path(path_type=Path), help="The state directory; .atc beside atc.yml.")
_FILE = click.option("-c", "--config", "file", type=click.Path(path_type=Path), help="The file; atc.yml when missing.")


class _Unix(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("atc")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def ask(file: Path | None, state: Path | None, method: str, target: str) -> tuple[int, Any]:
    """The agent's answer; raises `Unavailable` when no atc runs here."""
    home = state or find_file(file).resolve().parent / ".atc"
    connection = _Unix(str(home / "run/control.sock"))
    try:
        connection.request(method, target)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except OSError:
        raise Unavailable(f"no atc runs with the state directory {home}", hint="start it with: atc run") from None
    finally:
        connection.close()


@click.command("status")
@_FILE
@_STATE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(file: Path | None, state: Path | None, as_json: bool) -> None:
    """Show what every tenant does, and whether atc.yml is what runs."""
    _, said = ask(file, state, "GET", "/status")
    if as_json:
        click.echo(json.dumps(said, indent=2))
        return
    width = max((len(each["id"]) for each in said["tenants"]), default=0)
    for each in said["tenants"]:
        click.echo(f"{each['id']:{width}}  {each['state']:9}  {each['reason']}".rstrip())
    if said["problem"]:
        click.echo(f"atc.yml was not applied:\n{said['problem']}", err=True)
