"""What a benchmark hands back: figures, some of which have a bar."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured number. It passes when it is not above its bar; without one it is only reported."""

    bench: str
    what: str
    value: float
    unit: str
    bar: float | None = None
    note: str = ""

    @property
    def missed(self) -> bool:
        """Is it above its bar?"""
        return self.bar is not None and self.value > self.bar

    def to_json(self) -> dict[str, Any]:
        """The figure as plain data."""
        return asdict(self) | {"missed": self.missed}
