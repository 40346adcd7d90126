"""Before `atc run` serves: the newest edition takes the place of an atc.yml that is older."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from atcgen.compiler import Compiled
from atcgen.compiler.plan import Plan
from atcgen.errors import AtcError, Rejected

if TYPE_CHECKING:
    from atcgen.fleet.editions import Edition

_PATIENCE = 5.0  # seconds


def newest(found: Path, compiled: Compiled, compile_text: Callable[[str], Compiled]) -> Compiled:
    """What to run: the newest edition that compiles here, or the file where it follows none.

    A file that differs from its edition was edited here while atc ran, and then it stays until there is a newer one; or
    it came with an image, and is replaced.
    """
    plan = compiled.plan
    if not plan.shared.is_followed or not plan.has_file:
        return compiled
    from atcgen.fleet.editions import digest
    from atcgen.fleet.local import read_base, read_text, take, was_edited

    state, text = Path(plan.paths.state), read_text(found)
    base = read_base(state)
    for edition in (_ask(plan, base.number if base else 0), base):
        if edition is None:
            continue
        if digest(text) == edition.digest or (edition is base and was_edited(state, text)):
            if digest(text) == edition.digest:
                take(found, edition, state)
            return compiled
        try:
            fresh = compile_text(edition.text)
        except Rejected as rejected:
            click.echo(f"edition {edition.number} does not compile here, and is not run\n{rejected}", err=True)
            continue
        aside = take(found, edition, state)
        click.echo(f"{found} is edition {edition.number} now" + (f"; what it said is in {aside}" if aside else ""))
        return fresh
    return compiled


def _ask(plan: Plan, above: int) -> Edition | None:
    """The newest edition, if there is a newer one and the store says so soon."""
    from atcgen.fleet.history import open_history

    async def ask() -> Edition | None:
        found = await asyncio.wait_for(open_history(plan.shared, os.environ).newest(above), _PATIENCE)
        return found.edition

    try:
        return asyncio.run(ask())
    except (AtcError, TimeoutError) as problem:
        said = str(problem) or f"{plan.shared.url} does not answer"
        click.echo(f"there may be a newer edition of atc.yml: {said}", err=True)
        return None
