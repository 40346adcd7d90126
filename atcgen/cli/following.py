"""Before `atc run` serves: which atc.yml it is. The newest edition takes the place of a file that is older; when a file
has errors, what ran last goes on.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from atcgen.cli.source import read_text
from atcgen.compiler import Compiled
from atcgen.compiler.plan import SharedPlan
from atcgen.compiler.shared import shared_alone
from atcgen.errors import AtcError, Rejected
from atcgen.system.generations import last_source
from atcgen.system.host import gather_host

if TYPE_CHECKING:
    from atcgen.fleet.editions import Edition

_PATIENCE = 5.0  # seconds

Compile = Callable[[str], Compiled]


@dataclass(frozen=True)
class Chosen:
    """What is run, and the text that it was made of."""

    compiled: Compiled
    text: str


def chosen(found: Path, state: Path, compile_text: Compile) -> Chosen:
    """What the file says, or the newest edition where it follows a store, or what ran last where the file has errors.

    Raises `Rejected` when there is nothing of it that compiles.
    """
    text = read_text(found) if found.is_file() else ""
    try:
        return _newest(found, Chosen(compile_text(text), text), compile_text)
    except Rejected as rejected:
        fallback = _what_ran(state, compile_text) or _edition(found, state, compile_text, text)
        if fallback is None:
            raise
        click.echo(str(rejected), err=True)
        chosen = _newest(found, fallback, compile_text)
        if read_text(found) == text:
            click.echo(f"{found} has errors, and is NOT run: what ran last goes on until it is mended", err=True)
        return chosen


def _what_ran(state: Path, compile_text: Compile) -> Chosen | None:
    text = last_source(state)
    try:
        return Chosen(compile_text(text), text) if text is not None else None
    except Rejected:
        return None


def _edition(found: Path, state: Path, compile_text: Compile, text: str) -> Chosen | None:
    """The newest edition, for a machine on which nothing ran yet; the file says at least which store has it."""
    from atcgen.fleet.local import take

    try:
        shared = shared_alone(text, str(found), gather_host(found.absolute().parent, state, os.environ))
        edition = _ask(shared, 0) if shared.is_followed and found.is_file() else None
        fresh = Chosen(compile_text(edition.text), edition.text) if edition else None
    except Rejected:
        return None
    if edition:
        take(found, edition, state)
    return fresh


def _newest(found: Path, given: Chosen, compile_text: Compile) -> Chosen:
    """The newest edition that compiles here, or what was given where it follows none.

    A file that differs from its edition was edited here while atc ran, and then it stays until there is a newer one; or
    it came with an image, and is replaced.
    """
    plan = given.compiled.plan
    if not plan.shared.is_followed or not plan.has_file:
        return given
    from atcgen.fleet.editions import digest
    from atcgen.fleet.local import read_base, take, was_edited

    state, text = Path(plan.paths.state), read_text(found)
    base = read_base(state)
    for edition in (_ask(plan.shared, base.number if base else 0), base):
        if edition is None:
            continue
        if digest(text) == edition.digest or (edition is base and was_edited(state, text)):
            if digest(text) == edition.digest:
                take(found, edition, state)
            return given
        try:
            fresh = Chosen(compile_text(edition.text), edition.text)
        except Rejected as rejected:
            click.echo(f"edition {edition.number} does not compile here, and is not run\n{rejected}", err=True)
            continue
        aside = take(found, edition, state)
        click.echo(f"{found} is edition {edition.number} now" + (f"; what it said is in {aside}" if aside else ""))
        return fresh
    return given


def _ask(shared: SharedPlan, above: int) -> Edition | None:
    """The newest edition, if there is a newer one and the store says so soon."""
    from atcgen.fleet.history import open_history

    async def ask() -> Edition | None:
        found = await asyncio.wait_for(open_history(shared, os.environ).newest(above), _PATIENCE)
        return found.edition

    try:
        return asyncio.run(ask())
    except (AtcError, TimeoutError) as problem:
        said = str(problem) or f"{shared.url} does not answer"
        click.echo(f"there may be a newer edition of atc.yml: {said}", err=True)
        return None
