"""`atc backup`: what can be restored of a tenant, whether it can, and restoring it."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from atcgen.cli.control import tenant_of
from atcgen.cli.source import home_of, json_option, running_options
from atcgen.compiler.plan import Plan, TenantPlan, load
from atcgen.errors import AtcError, Unavailable
from atcgen.replica import history, strays
from atcgen.replica.attachment import databases_here, databases_of
from atcgen.replica.fetching import current, fetched, in_the_way, truths, version_at
from atcgen.replica.fetching import verify as verify_files
from atcgen.replica.files import Version
from atcgen.replica.lease import Lease, read_lease
from atcgen.replica.progress import Progress
from atcgen.replica.restoring import Moment, missing, restore_moment, truth
from atcgen.replica.site import Vault, vault
from atcgen.system.agent import ask
from atcgen.system.sqlite import adopt as adopt_database
from atcgen.system.sqlite import problem_of


@click.group("backup")
def command() -> None:
    """Look at the copies of a tenant's databases and files, and restore them."""


@command.command("list")
@click.argument("tenant")
@running_options
@json_option
def list_(tenant: str, file: Path | None, state: Path | None, as_json: bool) -> None:
    """Say from when to when a TENANT can be restored; any second between is there."""
    plan, found = _tenant(home_of(file, state), tenant)
    store = vault(plan.store, os.environ)
    lease, past = asyncio.run(_past(store, found))
    states = [datetime.fromtimestamp(each.taken / 1000, UTC) for each in asyncio.run(truths(store, found, lease))]
    if as_json:
        chapters = [{**vars(each), "begun": each.begun.isoformat(), "ended": _iso(each.ended)} for each in past]
        said = {"epoch": lease.epoch, "held_by": lease.holder if lease.held else "", "past": chapters}
        click.echo(json.dumps(said | {"files": [each.isoformat() for each in states]}))
        return
    click.echo(f"{found.id}: {'held by ' + lease.holder if lease.held else 'at rest'}")
    for each in past:
        ended = f"{each.ended:%Y-%m-%d %H:%M:%S}" if each.ended else "now" + 16 * " "
        truth = "  latest" if each.is_truth else ""
        click.echo(f"{each.begun:%Y-%m-%d %H:%M:%S} - {ended} UTC  {each.size / 1024:9.1f} KB  {each.path}{truth}")
    if states:
        first, last = (f"{each:%Y-%m-%d %H:%M:%S}" for each in (states[0], states[-1]))
        click.echo(f"{first} - {last} UTC  files, {len(states)} state{'s' if len(states) > 1 else ''}")


@command.command("verify")
@click.argument("tenant")
@running_options
@json_option
def verify(tenant: str, file: Path | None, state: Path | None, as_json: bool) -> None:
    """Restore the latest copy of a TENANT to a scratch directory and check it, and the content of every file."""
    plan, found = _tenant(home_of(file, state), tenant)
    store = vault(plan.store, os.environ)
    lease, _ = asyncio.run(_past(store, found))
    with tempfile.TemporaryDirectory(prefix="atc-verify-") as scratch:
        said = asyncio.run(_verified(store, found, lease, Path(scratch)))
    if as_json:
        click.echo(json.dumps(said))
    else:
        for name, result in said.items():
            click.echo(f"{name}: {result}")
    if any(each != "ok" for each in said.values()):
        raise Unavailable(f"the copy of {found.id} is damaged", hint="atc backup list shows earlier ones")


@command.command("restore")
@click.argument("tenant")
@click.option("--at", "at", metavar="TIME", help="The state at a time, such as 2026-11-23T16:05:00Z; UTC if not said.")
@click.option("--txid", type=click.IntRange(min=1), help="The state after a transaction of the latest copy.")
@click.option("--to", "target", type=click.Path(path_type=Path), help="Into a directory, which is made.")
@click.option("--as", "other", metavar="TENANT", help="As another tenant of atc.yml, which has no databases yet.")
@click.option("--in-place", is_flag=True, help="In place of what there is, which stays restorable.")
@running_options
def restore(
    tenant: str,
    at: str | None,
    txid: int | None,
    target: Path | None,
    other: str | None,
    in_place: bool,
    file: Path | None,
    state: Path | None,
) -> None:
    """Restore the databases and files of a TENANT: the latest state, or that of a time within the retention."""
    _check_place(target, other, in_place=in_place)
    if at and txid is not None:
        raise click.UsageError("a time and a transaction are two moments: say one of --at and --txid")
    home = home_of(file, state)
    plan, found = _tenant(home, tenant)
    if in_place:
        code, said = ask(
            home, "POST", "/rewind", json.dumps({"id": found.id, "at": _iso(when(at) if at else None), "txid": txid})
        )
        if code != 200:
            raise Unavailable(said["error"])
        click.echo(f"{found.id}: restored; what there was before is in `atc backup list`")
        return
    store = vault(plan.store, os.environ)
    lease, _ = asyncio.run(_past(store, found))
    moment = asyncio.run(_moment(store, found, lease, when(at) if at else None, txid))
    directory = target if target is not None else asyncio.run(_room_for(plan, store, other or ""))
    version = asyncio.run(version_at(store, found, lease, when(at) if at else None, history.epoch_of(moment.path)))
    directory.mkdir(parents=True, exist_ok=True)
    for each in asyncio.run(_restore_all(store, found, moment, version, directory)):
        click.echo(f"{each}: restored")


@command.command("adopt")
@click.argument("tenant")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@running_options
def adopt(tenant: str, files: tuple[Path, ...], file: Path | None, state: Path | None) -> None:
    """Take databases that exist elsewhere as those of a TENANT that has none; they may be in use, and stay.

    Where it has several, each file must be called as the database is that it becomes.
    """
    plan, found = _tenant(home_of(file, state), tenant)
    directory = asyncio.run(_room_for(plan, vault(plan.store, os.environ), found.id))
    names = list(databases_of(found))
    by_file = {name.rpartition("/")[2]: name for name in names}
    targets = dict(zip(names, files, strict=False))
    if len(names) > 1:
        targets = {by_file.get(each.name, each.name): each for each in files}
    if len(files) > len(names) or set(targets) - set(names):
        raise Unavailable(f"the databases of {found.id} are called {', '.join(names)}", hint="`databases` names them")
    for name, source in targets.items():
        adopt_database(source, directory / name)
        click.echo(f"{directory / name}: adopted; it is copied from the next start on")


def _check_place(target: Path | None, other: str | None, *, in_place: bool) -> None:
    """Is it one place, and can a directory be made there?"""
    places = sum((target is not None, other is not None, in_place))
    if places != 1:
        said = "only one of" if places else "say where to: one of"
        raise click.UsageError(f"{said} --to, --as and --in-place")
    if target is not None and target.exists() and not target.is_dir():
        raise AtcError(f"{target} is no directory")
    if target is not None and not target.absolute().parent.is_dir():
        raise AtcError(f"{target.absolute().parent} is no directory", hint="make it first")


async def _verified(store: Vault, plan: TenantPlan, lease: Lease, scratch: Path) -> dict[str, str]:
    """What is wrong with each database, directory and file, or `ok`; databases first, in the order of atc.yml."""
    if not lease.path and not lease.files:
        raise Unavailable(f"nothing of {plan.id} was ever copied to {store.plan.url}")
    said: dict[str, str] = {}
    if lease.path:
        gone = await missing(store, plan, lease, databases_of(plan))
        moment = truth(lease)
        rest = {name: txid for name, txid in moment.transactions.items() if name not in gone}
        made: list[Path] = []
        if len(gone) < len(databases_of(plan)):
            made = await restore_moment(store, plan, replace(moment, transactions=rest), scratch, Progress())
        here = {str(each.relative_to(scratch)): problem_of(each, thorough=True) or "ok" for each in made}
        every = here | dict.fromkeys(gone, f"is missing in {lease.path} of the store")
        said = {name: every[name] for name in databases_of(plan) if name in every} | every
    if version := current(lease):
        manifest, problems = await verify_files(store, plan, version, scratch)
        said |= dict.fromkeys(sorted(manifest.roots), "ok") | dict(sorted(problems.items()))
    return said


@command.command("reinstate")
@click.argument("tenant")
@click.argument("path")
@running_options
def reinstate(tenant: str, path: str, file: Path | None, state: Path | None) -> None:
    """Make a PATH of the store, such as e3.1, the truth of a TENANT whose lease is lost; it starts from there."""
    plan, found = _tenant(home_of(file, state), tenant)
    lease = asyncio.run(strays.reinstate(vault(plan.store, os.environ), found, path))
    click.echo(f"{found.id}: {lease.path} is the truth; the other paths are in `atc backup list`")


def when(text: str) -> datetime:
    """A time as people write it; UTC where no zone is said."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"{text!r} is no time such as 2026-11-23T16:05:00Z") from None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    if found > datetime.now(UTC):
        raise click.UsageError(f"{text!r} is in the future")
    return found


def _tenant(home: Path, name: str) -> tuple[Plan, TenantPlan]:
    found = tenant_of(home, name.strip("/") or "/")
    plan = load((home / "current/plan.json").read_text(encoding="utf-8"))
    if found.backup is None:
        raise Unavailable(f"the databases of {found.id} are not copied", hint="storage.replica says where to")
    return plan, found


async def _past(store: Vault, plan: TenantPlan) -> tuple[Lease, list[history.Past]]:
    assert plan.backup
    lease = await read_lease(store.store, plan.backup.lease, plan.id)
    if lease is None:
        await strays.refuse(store.store, plan.backup.key, None, None)
        raise Unavailable(f"nothing of {plan.id} was ever copied to {store.plan.url}")
    return lease, history.pasts(lease, await store.store.entries(plan.backup.key), plan.backup.key)


async def _moment(store: Vault, plan: TenantPlan, lease: Lease, at: datetime | None, txid: int | None) -> Moment:
    assert plan.backup
    entries = await store.store.entries(plan.backup.key)
    return history.moment(lease, at, txid, entries, plan.backup.key, databases_of(plan))


async def _restore_all(
    store: Vault, plan: TenantPlan, moment: Moment, version: Version | None, directory: Path
) -> list[Path]:
    """Databases and files: all of them, or none."""
    if version is None:
        return await restore_moment(store, plan, moment, directory, Progress())
    async with fetched(store, plan, version, directory, Progress()) as files:
        there = in_the_way(directory, files.manifest)
        if there:
            raise AtcError(f"{directory / there[0]} exists already", hint="restore to an empty directory, or in place")
        made = await restore_moment(store, plan, moment, directory, Progress())
        files.place(directory)
        return [*made, *(directory / each for each in files.manifest.roots if (directory / each).exists())]


async def _room_for(plan: Plan, store: Vault, name: str) -> Path:
    """The directory of a tenant that has nothing yet, neither here nor in the store."""
    found = next((each for each in plan.tenants if each.id == name.strip("/")), None)
    if found is None:
        raise Unavailable(f"no tenant of this machine is called {name!r}", hint="add it to atc.yml first")
    if databases_here(found):
        raise AtcError(f"{found.id} has databases already", hint="restore in place, or as another one")
    if found.backup:
        lease = await read_lease(store.store, found.backup.lease, found.id)
        if lease and (lease.path or lease.files or lease.history or lease.held or lease.deleted is not None):
            raise Unavailable(f"{found.id} has copies in the store already", hint="atc backup list shows them")
        await strays.refuse(store.store, found.backup.key, lease, None)
    return Path(found.directory)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
