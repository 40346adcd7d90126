"""A database from its replica: whole and checked beside its place, then put there by one step, or not at all."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import yaml

from atcgen.errors import AtcError
from atcgen.system.litestream import Finished, Replica, complaint, run
from atcgen.system.sqlite import flush, remove_companions

_FRESH = "restored"
_NOTHING = "no matching backup files available"
# What Litestream says, and what it means. It says nothing else that a person could act upon.
_MEANINGS = {
    "timestamp does not exist": "the replica does not reach that time",
    "NoSuchBucket": "there is no such bucket",
    "SignatureDoesNotMatch": "the store refuses the keys",
    "InvalidAccessKeyId": "the store refuses the keys",
    "AccessDenied": "the store refuses the keys",
    "no EC2 IMDS role found": "there are no keys for the store in the environment",
    "non-contiguous": "a file in the middle of the replica is missing",
    "unexpected EOF": "a file of the replica is cut off",
    "size 0": "a file of the replica is empty",
    "checksum mismatch": "a file of the replica is damaged",
}


class RestoreError(AtcError):
    """A database could not be restored; nothing is at its place that was not there before."""


class NoReplica(RestoreError):
    """Nothing that could be restored is at that path.

    That does not mean that there never was anything: a replica whose first file is gone looks the same. Whether a
    tenant is new only the store's record of it can say.
    """


async def restore(
    replica: Replica,
    output: Path,
    *,
    environ: Mapping[str, str],
    within: float,
    txid: int | None = None,
    timestamp: datetime | None = None,
    owner: tuple[int, int] | None = None,
    mode: int = 0o600,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Restore the latest state, that of a transaction, or that of a time; the transaction that it is.

    It is checked by SQLite, flushed to disk, given to `owner` and only then put at `output`, where nothing may be.
    `progress` hears how many bytes are there so far. Raises `NoReplica` or `RestoreError`.
    """
    await asyncio.to_thread(_make_room, output)
    with _workplace(output) as place:
        fresh = place / _FRESH
        config = place / "litestream.yml"
        config.write_text(yaml.safe_dump({"dbs": [{"path": str(fresh), "replica": replica.settings()}]}), "utf-8")
        words = ["restore", "-json", "-config", str(config), "-no-expand-env", "-integrity-check", "quick"]
        words += ["-txid", f"{txid:016x}"] if txid is not None else []
        words += ["-timestamp", f"{timestamp.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"] if timestamp else []
        try:
            done = await run([*words, str(fresh)], environ, within, lambda: progress(_bytes_in(place)))
        except TimeoutError:
            raise RestoreError(
                f"{output.name} was not restored within {within:g} s: the store is slow or away"
            ) from None
        if done.status or not fresh.exists():
            raise _failure(done, output.name, latest=txid is None and timestamp is None)
        reached = _txid(done)
        if txid is not None and reached != txid:
            raise RestoreError(f"{output.name} was restored to transaction {reached} instead of {txid}")
        progress(fresh.stat().st_size)
        await asyncio.to_thread(_put, fresh, output, owner, mode)
    return reached


def _put(fresh: Path, output: Path, owner: tuple[int, int] | None, mode: int) -> None:
    """Make the restored file durable and give it its name."""
    remove_companions(output)  # a log without its database would be applied to this one
    fresh.chmod(mode)
    if owner:
        os.chown(fresh, *owner)
    flush(fresh)
    try:
        os.link(fresh, output)  # unlike a rename it never takes the place of another file
    except FileExistsError:
        raise RestoreError(f"{output} exists") from None
    flush(output.parent)


@contextmanager
def _workplace(output: Path) -> Iterator[Path]:
    """A new directory beside the database, locked while its maker lives, gone in the end."""
    place = Path(tempfile.mkdtemp(prefix=_prefix(output), dir=output.parent))
    opened = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.close(opened)


def _make_room(output: Path) -> None:
    """See that nothing is there, and remove the directories of earlier restores of it whose makers were killed."""
    if os.path.lexists(output):
        raise RestoreError(f"{output} exists")
    output.parent.mkdir(parents=True, exist_ok=True)
    for each in [each for each in output.parent.iterdir() if each.name.startswith(_prefix(output))]:
        with suppress(OSError):  # somebody restores there
            opened = os.open(each, os.O_RDONLY)
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(each, ignore_errors=True)
            finally:
                os.close(opened)


def _prefix(output: Path) -> str:
    return f".restoring-{output.name}-"


def _bytes_in(place: Path) -> int:
    """How much there is so far: Litestream writes beside the name that it was given, then renames."""
    with suppress(FileNotFoundError):
        return sum(each.stat().st_size for each in place.iterdir() if each.name.startswith(_FRESH))
    return 0


def _txid(done: Finished) -> int:
    found = re.search(r'"txid": *"([0-9a-f]{16})"', done.said)
    if not found:
        raise RestoreError(f"litestream does not say what it restored: {complaint(done)}")
    return int(found[1], 16)


def _failure(done: Finished, name: str, *, latest: bool) -> RestoreError:
    words = complaint(done)
    if _NOTHING in words:
        return (
            NoReplica(f"there is no replica of {name}") if latest else RestoreError(f"no replica of {name} goes so far")
        )
    meaning = next((each for sign, each in _MEANINGS.items() if sign in words), words)
    return RestoreError(f"{name} was not restored: {meaning}")
