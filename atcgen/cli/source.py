"""From the command line to a compiled file: which atc.yml, which machine, which state directory."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from atcgen.compiler import Compiled, compile_text
from atcgen.errors import Unavailable
from atcgen.system.host import gather_host, running_place
from atcgen.system.templates import read_templates

_PLACES = (Path("atc.yml"), Path("config/atc.yml"))
_FILE = click.option(
    "-c", "--config", "file", type=click.Path(path_type=Path), help="The file; atc.yml or config/atc.yml."
)
_STATE = click.option("--state", type=click.Path(path_type=Path), help="The state directory; .atc beside the file.")


def file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that compiles atc.yml."""
    command = click.option("--instance", help="The id of this machine; FLY_MACHINE_ID when missing.")(command)
    command = click.option("--region", help="The region of this machine; FLY_REGION when missing.")(command)
    return running_options(command)


def running_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every command that asks a running atc."""
    return _FILE(_STATE(command))


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(command)


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


def state_directory(file: Path, state: Path | None) -> Path:
    """The one named, or `.atc` beside the file; where that cannot be written, one of its own among temporary files."""
    if state is not None:
        return state.resolve()
    base = file.absolute().parent
    beside = base / ".atc"
    if beside.is_dir() or os.access(base, os.W_OK):
        return beside
    name = hashlib.sha256(str(base).encode()).hexdigest()[:10]
    return _own(Path(tempfile.gettempdir(), f"atc-{os.geteuid()}-{name}"))


def _own(directory: Path) -> Path:
    """A directory of nobody else: what lies in it is run."""
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077:
        raise Unavailable(f"{directory} belongs to somebody else", hint="name another one with --state")
    return directory


def home_of(file: Path | None, state: Path | None) -> Path:
    """The state directory of an atc that may run, with or without a file."""
    if state is not None:
        return state.resolve()
    found = file or next((each for each in _PLACES if each.is_file()), _PLACES[0])
    return state_directory(found, None)


def compile_file(
    file: Path,
    state: Path | None,
    region: str | None,
    instance: str | None,
    command: tuple[str, ...] = (),
    called: str = "",
    serving: bool = False,
    as_running: bool = False,
    text: str | None = None,
) -> Compiled:
    """Compile a file for this machine; one that does not exist says nothing.

    Messages name it as `called`. `serving`: it is about to run here. `as_running`: for the region and the instance that
    the atc which runs was given, where nothing else says them. `text`: instead of what the file says.
    """
    home = state_directory(file, state)
    if as_running and region is None and instance is None:
        region, instance = running_place(home)
    host = gather_host(
        file.absolute().parent,
        home,
        os.environ,
        command=command,
        has_file=file.is_file(),
        serving=serving,
        region=region,
        instance=instance,
    )
    if text is None:
        text = read_text(file) if host.has_file else ""
    return compile_text(text, file=called or str(file), host=host, templates=read_templates())


def read_text(file: Path) -> str:
    """The text of a file; bytes that are no UTF-8 are left for the compiler to complain about."""
    try:
        return file.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as problem:
        raise Unavailable(f"{file}: {problem.strerror}") from None
