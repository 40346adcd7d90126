"""Which apps may replay to which. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where an app belongs."""

    app: str
    org: str
    network: str


@dataclass(frozen=True)
class Borders:
    """The switches of the organisations."""

    cross_network: frozenset[str] = frozenset()  # orgs whose apps may replay across their networks
    sources: frozenset[tuple[str, str]] = frozenset()  # (org that receives, org that may send)


def refusal(emitter: Place, target: Place, borders: Borders) -> tuple[str, str] | None:
    """A code and a sentence when a replay is not allowed."""
    if emitter.org != target.org:
        if (target.org, emitter.org) in borders.sources:
            return None
        return "PA05", f"{target.app} belongs to another organization"
    if emitter.network != target.network and emitter.org not in borders.cross_network:
        return "network", "cross-network replays are not allowed"
    return None
