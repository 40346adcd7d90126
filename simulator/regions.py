"""Where the regions are, what their aliases mean, and which is nearer. Pure."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt

REGIONS: dict[str, tuple[float, float, str]] = {
    "ams": (52.374342, 4.895439, "eu"),
    "arn": (59.6512, 17.9178, "eu"),
    "bom": (19.097403, 72.874245, "apac"),
    "cdg": (48.860875, 2.353477, "eu"),
    "dfw": (32.778287, -96.7984, "na"),
    "ewr": (40.789543, -74.05653, "na"),
    "fra": (50.1167, 8.6833, "eu"),
    "gru": (-23.549664, -46.65435, "sa"),
    "iad": (39.02214, -77.462556, "na"),
    "jnb": (-26.13629, 28.20298, "africa"),
    "lax": (33.9416, -118.4085, "na"),
    "lhr": (51.516434, -0.125656, "eu"),
    "nrt": (35.62161, 139.74185, "apac"),
    "ord": (41.891544, -87.63039, "na"),
    "sin": (1.3, 103.8, "apac"),
    "sjc": (37.3516, -121.89674, "na"),
    "syd": (-33.86603, 151.20693, "apac"),
    "yyz": (43.64463, -79.38423, "na"),
}
# Regions that only have edges: a header may name them, no machine is there.
EDGES_ONLY = {"dxb": (25.2048, 55.2708), "ist": (41.0082, 28.9784), "mel": (-37.8136, 144.9631)}
ALIASES = {"apac", "eu", "na", "sa", "us", "usa", "any"}
_US = {"dfw", "ewr", "iad", "lax", "ord", "sjc"}
_FARTHEST = 20_100.0  # km


def covers(wanted: str, region: str) -> bool:
    """Does a code or an alias mean this region?"""
    if wanted in ("us", "usa"):
        return region in _US
    if wanted in ALIASES:
        return wanted == "any" or REGIONS.get(region, (0, 0, ""))[2] == wanted
    return wanted == region


def distance(one: str, other: str) -> float:
    """Kilometres between two regions; one that is not on the map is the farthest."""
    if one == other:
        return 0.0
    here, there = _place(one), _place(other)
    if not here or not there:
        return _FARTHEST
    (north, east), (north2, east2) = (map(radians, each) for each in (here, there))
    half = sin((north2 - north) / 2) ** 2 + cos(north) * cos(north2) * sin((east2 - east) / 2) ** 2
    return 2 * 6371 * asin(sqrt(half))


def _place(code: str) -> tuple[float, float] | None:
    known = REGIONS.get(code)
    return known[:2] if known else EDGES_ONLY.get(code)
