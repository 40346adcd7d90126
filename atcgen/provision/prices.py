"""What Fly.io charges, in US dollars: data with a date. Look at https://fly.io/docs/about/pricing/ before you quote it.

Compute is the price list of that day in iad; other regions are the ratio of their prices to it. A month has 30 days.
"""

from __future__ import annotations

from collections.abc import Mapping

DATE = "2025-08-19"
SOURCE = "https://fly.io/docs/about/pricing/"

# Per second of a processor with the memory that comes with it: 256 MB shared, 2 GB performance.
PROCESSOR: Mapping[str, float] = {"shared": 0.00000075, "performance": 0.00001196}
MEMORY = 0.00000193  # per second and further GB

REGIONS: Mapping[str, float] = {
    "iad": 1.000,
    "ewr": 1.000,
    "ams": 1.038,
    "arn": 1.038,
    "bom": 1.077,
    "yyz": 1.115,
    "lhr": 1.135,
    "cdg": 1.135,
    "fra": 1.154,
    "sjc": 1.192,
    "lax": 1.200,
    "dfw": 1.250,
    "ord": 1.250,
    "sin": 1.269,
    "syd": 1.269,
    "jnb": 1.303,
    "nrt": 1.308,
    "gru": 1.615,
}
UNKNOWN_REGION = max(REGIONS.values())

STORAGE = 0.15  # per GB and month: of volumes at all times, and of an image while its machine sleeps

_EUROPE_AND_NORTH_AMERICA, _ASIA_AND_SOUTH_AMERICA, _AFRICA_AND_INDIA = 0.02, 0.04, 0.12
TRAFFIC: Mapping[str, float] = {  # per GB to the internet
    **dict.fromkeys(REGIONS, _EUROPE_AND_NORTH_AMERICA),
    **dict.fromkeys(("sin", "syd", "nrt", "gru"), _ASIA_AND_SOUTH_AMERICA),
    **dict.fromkeys(("jnb", "bom"), _AFRICA_AND_INDIA),
}
