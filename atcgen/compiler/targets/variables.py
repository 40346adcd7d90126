"""Variables of the environment that a machine needs: those atc.yml names, and the keys of its store."""

from __future__ import annotations

from atcgen.compiler import interpolate
from atcgen.compiler.schema import Config
from atcgen.compiler.source import Document

_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_EVERYWHERE = frozenset({"HOME", "HOSTNAME", "PATH"})  # whoever starts a process says them


def variables(config: Config, document: Document) -> tuple[str, ...]:
    """Their names; no value of them stands in a file that is made."""
    stores = (config.storage.replica, config.fleet.config)
    keys = _KEYS if any(each and not each.startswith("file:") for each in stores) else ()
    return tuple(sorted({*named(document.data), *keys} - _EVERYWHERE))


def named(data: object) -> frozenset[str]:
    """Those that a text of atc.yml names."""
    if isinstance(data, str):
        return frozenset(filter(None, map(interpolate.environment_name, interpolate.names(data))))
    inner = list(data.values()) if isinstance(data, dict) else data if isinstance(data, list) else []
    return frozenset(name for each in inner for name in named(each))
