"""What the compiler's tests share: a machine written down, and compiling a text on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atcgen.compiler import Compiled, compile_text
from atcgen.compiler.plan import Host
from atcgen.diagnostics import Diagnostic
from atcgen.errors import Rejected
from atcgen.system.templates import read_templates

TEMPLATES = read_templates()


def machine(environ: Mapping[str, str] | None = None, **facts: Any) -> Host:
    """A machine whose nginx has nothing to warn of; `facts` say what is different about it."""
    usual: dict[str, Any] = {
        "base": "/srv/app",
        "state": "/srv/app/.atc",
        "user": "owner",
        "open_files": 4096,
        "nginx_version": (1, 27, 4),
        "secret": "secret",
    }
    return Host(environ=dict(environ or {}), **(usual | facts))


def compiled(text: str, host: Host | None = None) -> Compiled:
    """What becomes of a text; raises `Rejected`."""
    return compile_text(text, file="atc.yml", host=host or machine(), templates=TEMPLATES)


def complaints(text: str, host: Host | None = None) -> tuple[Diagnostic, ...]:
    """Everything the compiler has to say about a text, errors and warnings."""
    try:
        return compiled(text, host).warnings
    except Rejected as rejected:
        return rejected.diagnostics
