"""The failures atc reports; anything else is a bug and shows a traceback.

AtcError
├── Rejected       the owner's file is wrong; carries the diagnostics          exit code 1
├── Diverged       somebody else pushed or edited atc.yml; shows both changes exit code 1
├── ApplyError     the running system did not take a generation                exit code 3
│   └── NginxRefused   `nginx -t` said no; quotes its words
└── Unavailable    a program atc needs is missing or cannot be reached         exit code 3
    └── StoreError     the object store could not be asked, or holds something damaged
"""

from __future__ import annotations

from collections.abc import Sequence

from atcgen.diagnostics import Diagnostic


class AtcError(Exception):
    """A failure with a message for a person; `hint` says what to do about it."""

    exit_code = 3

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Rejected(AtcError):
    """The file has errors. Nothing was written and nothing running was touched."""

    exit_code = 1

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__("\n".join(str(each) for each in diagnostics))
        self.diagnostics = tuple(diagnostics)


class ApplyError(AtcError):
    """The running system did not take the new generation; the old one is still active."""


class NginxRefused(ApplyError):
    """nginx does not accept a configuration that passed every check: a bug of ours."""


class Unavailable(AtcError):
    """A program that atc needs is missing, or does not answer."""
