"""Failures of machines: those that a test asks for, and what a start that fails is."""

from __future__ import annotations

from dataclasses import dataclass


class StartFailed(Exception):
    """A machine did not start; `code` is the proxy's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Injected:
    """Failures that a test asked for."""

    failing_starts: int = 0
    failing_code: str = "PM02"
    extra_boot: float = 0.0
    refuses: bool = False
    cold_resumes: int = 0
