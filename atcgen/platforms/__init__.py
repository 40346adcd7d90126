"""Platforms: how an application of each framework is run as a tenant, unchanged. One module each, and pure.

A module has a `PLATFORM` (see platform.py): how its applications are known, and a preset, which is the lowest level of
`app:` in the words of atc.yml, so that an owner can override every part of it. What a preset runs besides the
application's own programs is in shims/, which `${shims}` names.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping

from atcgen.platforms.platform import Detected, Platform, Tree


def _platforms() -> Iterator[Platform]:
    for module in pkgutil.iter_modules(__path__):
        found = getattr(importlib.import_module(f"{__name__}.{module.name}"), "PLATFORM", None)
        if isinstance(found, Platform):
            yield found


PLATFORMS: Mapping[str, Platform] = {each.name: each for each in sorted(_platforms(), key=lambda each: each.name)}


def detected(tree: Tree) -> list[tuple[Platform, Detected]]:
    """The platforms that know an application, the one that is meant first."""
    found = [(each, each.detect(tree)) for each in PLATFORMS.values()]
    known = [(platform, said) for platform, said in found if said]
    return sorted(known, key=lambda each: (-each[1].weight, each[0].name))
