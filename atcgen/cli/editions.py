"""What `atc push|pull|history|rollback` have in common: which file, which history, and what stands in the way."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from atcgen.cli.source import compile_file, find_file, state_directory
from atcgen.compiler.plan import SharedPlan
from atcgen.compiler.shared import shared_alone
from atcgen.diagnostics import Code, errors
from atcgen.errors import AtcError, Rejected
from atcgen.fleet.editions import Edition
from atcgen.fleet.history import History, open_history
from atcgen.fleet.local import read_base, read_text
from atcgen.fleet.merge import unified
from atcgen.fleet.reports import read_all
from atcgen.system.directories import make_store_directories
from atcgen.system.host import gather_host

_T = TypeVar("_T")
_LAST = 200  # editions that are compared with a file of which nobody knows where it is from


class Diverged(AtcError):
    """Somebody else pushed, or edited; nothing was changed, and the message shows how the texts differ."""

    exit_code = 1


@dataclass(frozen=True)
class Desk:
    """An atc.yml somebody works on, and the history it belongs to."""

    file: Path
    state: Path
    shared: SharedPlan
    history: History
    text: str
    base: Edition | None  # what it was pulled or pushed as


def desk(file: Path | None, state: Path | None) -> Desk:
    """The file, and the store that it names, whatever else is wrong with it."""
    found = find_file(file)
    home = state_directory(found, state)
    text = read_text(found)
    host = gather_host(found.absolute().parent, home, os.environ)
    shared = shared_alone(text, str(found), host)
    history = open_history(shared, os.environ)
    make_store_directories(shared.directories, host.base, host.state)
    return Desk(found, home, shared, history, text, read_base(home) or _same(history, text))


def _same(history: History, text: str) -> Edition | None:
    """The newest edition with this very text: what a copy of a file was made from, that came without its state."""
    if not text:
        return None
    editions = (each for each in asked(history.last(_LAST)) if isinstance(each, Edition))
    return next((each for each in editions if each.text == text), None)


def asked(question: Coroutine[Any, Any, _T]) -> _T:
    """What the store answers."""
    return asyncio.run(question)


def refuse_errors(place: Desk, text: str, called: str) -> None:
    """Raise `Rejected` for a text with errors. Variables of the environment need not be set where it is pushed."""
    try:
        compile_file(place.file, place.state, None, None, called=called, text=text)
    except Rejected as rejected:
        found = errors(rejected.diagnostics)
        if any(each.code is not Code.MISSING_ENVIRONMENT for each in found):
            raise
        for each in found:
            click.echo(f"{each.position}: warning: {each.message} here; every machine needs it", err=True)


def diverged(place: Desk, newest: Edition) -> Diverged:
    """What somebody else changed, and what was changed here."""
    by = f"edition {newest.number} of {newest.at} by {newest.who}" + (f": {newest.message}" if newest.message else "")
    if place.base is None:
        diff = unified(newest.text, place.text, f"edition {newest.number}", str(place.file))
        hint = "atc pull --force takes it; what is here is kept aside"
        return Diverged(f"{place.file} was never pulled, and differs from {by}\n{diff}".rstrip(), hint=hint)
    base = f"edition {place.base.number}"
    theirs = unified(place.base.text, newest.text, base, f"edition {newest.number}")
    yours = unified(place.base.text, place.text, base, str(place.file))
    said = f"{place.file} was made from {base}, and there is {by}\n{theirs}{yours}".rstrip()
    return Diverged(said, hint="atc pull --merge puts both together; nothing was changed")


def who() -> str:
    """Who pushes, as far as this machine knows."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"


def announce(place: Desk, edition: Edition) -> None:
    """Tell the machines that are awake, and say how many heard."""
    from atcgen.fleet.telling import tell

    click.echo(f"edition {edition.number}: pushed")
    try:
        reports = asked(read_all(place.history.store, place.shared.secret))
    except AtcError as problem:
        click.echo(f"no machine was told, for {problem}; they ask by themselves", err=True)
        return
    said = tell(reports, edition.number, place.shared)
    for name, why in said.items():
        if why:
            click.echo(f"{name} was not told: {why}", err=True)
    heard, asleep = sum(not each for each in said.values()), len(reports) - len(said)
    if reports:
        click.echo(f"told {heard} of {len(said)} machines that are awake; {asleep} asleep")
