"""From the command line to a compiled file: which atc.yml, which machine, which templates."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from atcgen.compiler import Compiled, compile_text
from atcgen.errors import Unavailable
from atcgen.system.host import gather_host
from atcgen.system.templates import read_templates

_PLACES = (Path("atc.yml"), Path("config/atc.yml"))


def file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that reads atc.yml."""
    options = (
        click.option(
            "-c", "--config", "file", type=click.Path(path_type=Path), help="The file; atc.yml or config/atc.yml."
        ),
        click.option("--region", help="The region of this machine; FLY_REGION when missing."),
        click.option("--instance", help="The id of this machine; FLY_MACHINE_ID when missing."),
        click.option("--state", type=click.Path(path_type=Path), help="The state directory; .atc beside the file."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def find_file(file: Path | None) -> Path:
    """The file named, or the one in its usual places."""
    if file is not None:
        if not file.is_file():
            raise Unavailable(f"{file}: no such file")
        return file
    found = next((each for each in _PLACES if each.is_file()), None)
    if found is None:
        raise Unavailable("there is no atc.yml here", hint="name it with -c FILE")
    return found


def compile_file(file: Path, state: Path | None, region: str | None, instance: str | None) -> Compiled:
    """Compile a file for this machine."""
    base = file.resolve().parent
    host = gather_host(base, (state or base / ".atc").resolve(), os.environ, region=region, instance=instance)
    return compile_text(read_text(file), file=str(file), host=host, templates=read_templates())


def read_text(file: Path) -> str:
    """The text of a file; bytes that are no UTF-8 are left for the compiler to complain about."""
    try:
        return file.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as problem:
        raise Unavailable(f"{file}: {problem.strerror}") from None
