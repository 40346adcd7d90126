"""Hosts that somebody else set up: atc runs on them as a service, and nginx passes on what is for another one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from atcgen.compiler.plan import Host
from atcgen.compiler.schema import Config
from atcgen.compiler.source import Document
from atcgen.diagnostics import Diagnostic


def files(config: Config, document: Document, host: Host) -> Mapping[str, str]:
    """None."""
    return {}


def check(config: Config, document: Document, host: Host) -> Iterable[Diagnostic]:
    """Everything fits."""
    return ()
