"""What commands that make and destroy machines share: their options, the draft of atc.yml, and the hands."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import click

from atcgen.cli.push import push
from atcgen.cli.source import find_file, read_text, running_options, state_directory
from atcgen.compiler import Compiled, compile_text
from atcgen.errors import AtcError
from atcgen.fleet.editions import Edition
from atcgen.fleet.history import open_history
from atcgen.fleet.reports import forget, read_all
from atcgen.provision.draft import Draft
from atcgen.provision.executor import Executor
from atcgen.provision.existing import Existing
from atcgen.provision.former import former_tenants
from atcgen.provision.planner import difference, too_large
from atcgen.provision.safety import Safety
from atcgen.provision.steps import Destroying, Step
from atcgen.provision.variables import with_those_of_tenants
from atcgen.replica.site import Vault, vault
from atcgen.system.edits import publish
from atcgen.system.fly import open_fly
from atcgen.system.host import gather_host
from atcgen.system.templates import read_templates

_EDITIONS = 200  # that are asked which tenants a user had who left
_PLACE = frozenset({"FLY_REGION", "FLY_MACHINE_ID", "ATC_REGION", "ATC_MACHINE"})


@dataclass(frozen=True)
class Terms:
    """What the command line allows."""

    yes: bool = False
    discards: bool = False
    grace: float = 30.0
    patience: float = 300.0


def draft_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that edits atc.yml; it gets a `draft`."""

    def called(file: Path | None, state: Path | None, **more: Any) -> Any:
        return command(draft=draft_of(file, state), **more)

    called.__doc__ = command.__doc__
    called.__name__ = command.__name__
    called.__dict__.update(command.__dict__)
    return running_options(called)


def apply_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that may destroy something; it gets `terms`."""

    def called(yes: bool, discard_data: bool, grace: float, wait: float, **more: Any) -> Any:
        return command(terms=Terms(yes, discard_data, grace, wait), **more)

    called.__doc__ = command.__doc__
    called.__name__ = command.__name__
    called.__dict__.update(command.__dict__)
    seconds = click.FloatRange(min=0)
    for option in (
        click.option("--yes", is_flag=True, help="Destroy machines and volumes without asking."),
        click.option("--discard-data", is_flag=True, help="Destroy also what was never copied to the store."),
        click.option("--grace", type=seconds, default=30.0, show_default=True, help="Seconds before the first end."),
        click.option("--wait", type=seconds, default=300.0, show_default=True, help="Seconds to give tenants back."),
    ):
        called = option(called)
    return called


def draft_of(file: Path | None, state: Path | None) -> Draft:
    """The file as it is, with nothing edited yet; of no machine in particular."""
    found = find_file(file)
    environ = {key: value for key, value in os.environ.items() if key not in _PLACE}
    host = gather_host(found.absolute().parent, state_directory(found, state), environ)

    def compiled(text: str) -> Compiled:
        here = with_those_of_tenants(host, text, str(found))
        return compile_text(text, file=str(found), host=here, templates=read_templates())

    def published(target: Path, text: str) -> None:
        if read_text(target) != text:
            publish(target, text)
        if compiled(text).plan.shared.is_followed:
            push(found, state, "machines and their users")

    return Draft(found, host, read_text, compiled, published)


def hands(draft: Draft, terms: Terms) -> Executor:
    """What does the steps. Raises `Unavailable` without an app or a token."""
    wanted = draft.wanted()
    fly = open_fly(wanted.shape.app, os.environ)
    store = draft.compile().plan.store

    def opened() -> Vault:
        return vault(store, os.environ)

    safety = Safety(opened if store.url else None, draft.tenants(), terms.discards, cache(partial(_former, draft)))
    return Executor(fly, draft, safety, click.echo, grace=terms.grace, patience=terms.patience)


def _former(draft: Draft) -> Mapping[str, tuple[str, ...]]:
    """The tenants of users who left atc.yml, as far as its last editions go."""
    compiled = draft.compile()
    if not compiled.plan.shared.is_followed:
        return {}
    editions = asyncio.run(open_history(compiled.plan.shared, os.environ).last(_EDITIONS))
    return former_tenants((each.text for each in editions if isinstance(each, Edition)), compiled.config.users)


def carry_out(draft: Draft, terms: Terms) -> None:
    """Do what is missing; ask before anything is destroyed. Exits with 3 when something could not be done."""
    work = hands(draft, terms)
    existing = work.look()
    steps = difference(draft.wanted(), existing)
    destroying = [each for each in steps if isinstance(each, Destroying)]
    if destroying and not terms.yes:
        show(steps, draft, existing)
        click.confirm("Destroy what is marked with '-'?", abort=True)
    if not draft.edits:
        draft.save()  # who was killed just before may have written it, and not pushed
    done = work.run()
    if draft.edits and not work.failed:
        draft.save()
    forget_reports(draft, work)
    for problem in work.failed.values():
        click.echo(f"error: {problem}", err=True)
        if problem.hint:
            click.echo(f"    hint: {problem.hint}", err=True)
    if work.failed:
        raise AtcError(f"{done} steps done, {len(work.failed)} not", hint="run it again: it goes on where it is")
    click.echo(f"{done} steps done" if done else "everything is as atc.yml says")


def forget_reports(draft: Draft, work: Executor) -> None:
    """Drop what machines reported that are gone: nobody is to tell them anything. It is not worth failing for."""
    shared = draft.compile().plan.shared
    if not shared.is_followed:
        return
    try:
        store = open_history(shared, os.environ).store
        reports = asyncio.run(read_all(store, shared.secret))
        asyncio.run(forget(store, reports, {each.id for each in work.look().machines}))
    except AtcError as problem:
        click.echo(f"warning: atc fleet status may name machines that are gone: {problem}", err=True)


def show(steps: tuple[Step, ...], draft: Draft, existing: Existing) -> None:
    """The steps as sentences, and what cannot be had."""
    for each in steps:
        click.echo(str(each))
    for said in too_large(draft.wanted(), existing):
        click.echo(f"! {said}")
