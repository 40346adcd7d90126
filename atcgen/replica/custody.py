"""Which copy of a tenant's databases is the truth: a pure decision, made each time before a tenant starts.

The lease in the store says what was published last and by whom. A marker beside the databases says which published
state they follow from. Transaction numbers alone decide nothing: a copy that went its own way may be ahead.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from enum import StrEnum

from atcgen.replica.lease import Lease


@dataclass(frozen=True)
class Marker:
    """Beside the databases: what they follow from."""

    epoch: int  # of the lease under which they were written last
    paths: tuple[str, ...]  # where that was, or was about to be, published
    boot: str  # names the boot of the machine on which they were written
    clean: bool  # everything was published, and nothing was written since
    databases: tuple[str, ...]  # those there were

    def to_json(self) -> str:
        """As text, for the file."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Marker | None:
        """From text; None for what is no marker: the databases follow from nothing that is known then."""
        try:
            said = json.loads(text)
            return cls(
                int(said["epoch"]),
                tuple(map(str, said["paths"])),
                str(said["boot"]),
                bool(said["clean"]),
                tuple(map(str, said["databases"])),
            )
        except (ValueError, KeyError, TypeError):
            return None


class Verdict(StrEnum):
    """What to do before the tenant starts."""

    NEW = "new"  # there is nothing anywhere: the application makes its databases
    USE = "use"  # what is here is the truth
    RESTORE = "restore"  # the truth is in the store, and nothing is here
    REPLACE = "replace"  # the truth is in the store; what is here is set aside
    REFUSE = "refuse"  # there was something, and the store knows nothing of it, or less


def follows(lease: Lease, marker: Marker | None, boot: str) -> bool:
    """Did nobody have the tenant since this machine had it, and is what is here as it was left?"""
    return marker is not None and marker.epoch == lease.epoch - 1 and (marker.clean or marker.boot == boot)


def judge(lease: Lease, marker: Marker | None, present: Collection[str], boot: str) -> tuple[Verdict, str]:
    """The verdict, with its reason for people, when `lease` was just taken and `present` names the databases here.

    Paths are never used twice, so who follows from the one that is the truth follows from everything that was
    published, also if somebody else had the lease meanwhile and came to nothing. A machine that was switched off may
    have lost what it had confirmed, whereas the store has it: after a restart of the machine only what was published
    completely is used.
    """
    if marker and lease.path and marker.epoch >= lease.epoch:
        return (
            Verdict.REFUSE,
            f"what is here is of epoch {marker.epoch}, and the store knows {lease.epoch - 1}: is it the right store?",
        )
    if not lease.path:
        if marker and any(marker.paths):
            return (
                Verdict.REFUSE,
                f"the store knows nothing of {marker.paths[-1]}, its last copy: is it the right store?",
            )
        if present:
            return Verdict.USE, "nothing was ever published"
        return Verdict.NEW, "nothing was ever published"
    if not present:
        return Verdict.RESTORE, "there is nothing here"
    if marker is None:
        return Verdict.REPLACE, "what is here follows from nothing that is known"
    if lease.path not in marker.paths:
        return Verdict.REPLACE, f"what is here follows from {marker.paths[-1] or 'nothing'}; the truth is {lease.path}"
    if not marker.clean and marker.boot != boot:
        return Verdict.REPLACE, "the machine went down while it was written"
    missing = set(marker.databases) - set(present)
    if missing:
        return Verdict.REPLACE, f"{', '.join(sorted(missing))} is gone"
    return Verdict.USE, "nobody published anything since"
