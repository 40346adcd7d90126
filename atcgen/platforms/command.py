"""Any command: everything is said in atc.yml."""

from __future__ import annotations

from atcgen.platforms.platform import Platform

PLATFORM = Platform("command", "any command")
