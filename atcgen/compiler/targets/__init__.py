"""Where machines come from: each target is one module, and this is all that the rest knows of it. No effects."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from atcgen.compiler.plan import Host
    from atcgen.compiler.schema import Config
    from atcgen.compiler.source import Document
    from atcgen.diagnostics import Diagnostic

_MODULES = {"fly": "fly", "proxy": "proxy", "kubernetes": "kubernetes"}


class Target(Protocol):
    """What a module of a target offers."""

    def files(self, config: Config, document: Document, host: Host) -> Mapping[str, str]:
        """Files for the target, by their path below the output of `atc build`."""

    def check(self, config: Config, document: Document, host: Host) -> Iterable[Diagnostic]:
        """What does not fit the target."""


def target_of(config: Config) -> Target:
    """The target of a config."""
    return cast(Target, importlib.import_module(f"{__name__}.{_MODULES[config.fleet.target]}"))
