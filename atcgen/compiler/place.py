"""Where a tenant lives, and what that means on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from atcgen.compiler.plan import Host
from atcgen.compiler.schema import Level


@dataclass(frozen=True)
class Place:
    """A machine by its id, else a region, else wherever atc.yml is read."""

    region: str | None = None
    instance: str | None = None

    def below(self, level: Level) -> Place:
        """The place of something inside: a level that names one replaces it whole."""
        if level.region is None and level.instance is None:
            return self
        return Place(level.region, level.instance)

    @property
    def name(self) -> str:
        """What a host of that place is called."""
        return self.instance or self.region or ""

    def target(self, host: Host, *, by_host: bool) -> str:
        """The machine that requests are sent to, or '' when it is this one.

        A machine that knows no place of its own owns everything. `by_host`: machines are hosts with names of their own.
        """
        if host.region is None and host.instance is None:
            return ""
        if by_host:
            return f"host={self.name}" if self.name and self.name not in (host.instance, host.region) else ""
        if self.instance is not None:
            return "" if self.instance == host.instance else f"instance={self.instance}"
        if self.region is not None:
            return "" if self.region == host.region else f"region={self.region}"
        return ""
