"""atc.yml and the editions on this machine: which one the file was taken from, and putting another in its place."""

from __future__ import annotations

import json
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from atcgen.errors import Unavailable
from atcgen.fleet.editions import Edition, digest

_KEPT = 20


def read_base(state: Path) -> Edition | None:
    """The edition that atc.yml was last pulled, pushed or taken as; None before the first."""
    try:
        return Edition(**json.loads((state / "edition.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_base(state: Path, edition: Edition) -> None:
    """Note it."""
    state.mkdir(parents=True, exist_ok=True)
    replace_text(state / "edition.json", json.dumps(asdict(edition), indent=1))


def read_text(file: Path) -> str:
    """The text of an atc.yml, as `push` has it; '' when there is none."""
    try:
        return file.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except FileNotFoundError:
        return ""
    except OSError as problem:
        raise Unavailable(f"{file}: {problem.strerror}") from None


def take(file: Path, edition: Edition, state: Path) -> Path | None:
    """Make atc.yml this edition. A text that nobody pushed is kept aside; where, or None."""
    base, text = read_base(state), read_text(file)
    aside = None
    if text != edition.text:
        if text and (base is None or digest(text) != base.digest):
            aside = _keep_aside(text, state)
        replace_text(file.resolve(), edition.text)
    write_base(state, edition)
    return aside


def note_edited(state: Path, text: str | None) -> None:
    """Remember what somebody made of atc.yml here, so that the next start knows it from a file that was put back."""
    if text is None:
        (state / "edited").unlink(missing_ok=True)
    else:
        replace_text(state / "edited", digest(text))


def was_edited(state: Path, text: str) -> bool:
    """Did it say this when it was edited here while atc ran?"""
    try:
        return (state / "edited").read_text(encoding="ascii") == digest(text)
    except OSError:
        return False


def _keep_aside(text: str, state: Path) -> Path:
    """In the state directory, under the time; the same text once."""
    folder = state / "replaced"
    folder.mkdir(parents=True, exist_ok=True)
    files = sorted(folder.iterdir())
    for each in files:
        if read_text(each) == text:
            return each
    for each in files[: max(0, len(files) - _KEPT + 1)]:
        each.unlink(missing_ok=True)
    target = folder / f"{time.strftime('%Y-%m-%dT%H-%M-%SZ', time.gmtime())}-{digest(text)[:6]}.yml"
    replace_text(target, text)
    return target


def replace_text(file: Path, text: str) -> None:
    """Write a file in one step. Whose it is and who may read it stay as they were; a new one is for the owner alone."""
    handle, fresh = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(handle)
        with suppress(FileNotFoundError):
            before = file.stat()
            os.chmod(fresh, before.st_mode & 0o777)
            if os.geteuid() == 0:
                os.chown(fresh, before.st_uid, before.st_gid)
        os.replace(fresh, file)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise
