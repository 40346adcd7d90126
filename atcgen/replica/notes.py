"""What a custodian writes down: beside the databases, which published state they follow from, and in the run directory,
what a restarted agent has to know.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from atcgen.compiler.plan import TenantPlan
from atcgen.replica.attachment import databases_here
from atcgen.replica.custody import Marker
from atcgen.replica.lease import Holder

MARKER = ".custody"


class Notes:
    """Those of one tenant."""

    def __init__(self, plan: TenantPlan, boot: str) -> None:
        self.plan, self._boot = plan, boot

    def marker(self) -> Marker | None:
        """The one beside the databases; None when there is none, or it is damaged."""
        try:
            return Marker.from_json(self._beside.read_text(encoding="utf-8"))
        except OSError:
            return None

    def mark(self, holder: Holder, paths: tuple[str, ...], *, clean: bool) -> None:
        """Say what the databases that are here follow from; it is on the disk when this returns."""
        marker = Marker(holder.lease.epoch, paths, self._boot, clean, tuple(databases_here(self.plan)))
        fresh = self._beside.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as stream:
            stream.write(marker.to_json())
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(self._beside)

    def state(self) -> dict[str, Any]:
        """What `keep` wrote; raises `OSError` or `ValueError`."""
        said: dict[str, Any] = json.loads(self._state.read_text(encoding="utf-8"))
        return said

    def keep(self, state: dict[str, Any] | None) -> None:
        """Write down what a restarted agent needs; None for nothing."""
        if state is None:
            self._state.unlink(missing_ok=True)
            return
        self._state.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._state.with_suffix(".new")
        fresh.write_text(json.dumps(state), encoding="utf-8")
        fresh.replace(self._state)

    @property
    def _beside(self) -> Path:
        return Path(self.plan.directory, MARKER)

    @property
    def _state(self) -> Path:
        assert self.plan.backup
        return Path(self.plan.backup.directory, "state.json")
