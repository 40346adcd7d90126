"""How a value is spelt in nginx's configuration, in supervisord's ini and in a shell script, or that it cannot be.

Templates print through these (Jinja's `finalize`), so no value can end a directive, a section or a command, whatever
it holds. The rules follow nginx's own reader (src/core/ngx_conf_file.c) and supervisord's options.
"""

from __future__ import annotations

import re
import shlex

from atcgen.compiler.interpolate import ROOT_MARK, SOCKET_MARK

_MARK = re.compile(f"({SOCKET_MARK}|{ROOT_MARK})")
_VARIABLES = {SOCKET_MARK: '"$SOCKET"', ROOT_MARK: '"$_atc_root"'}
_PLAIN_NGINX = re.compile(r"[A-Za-z0-9_./:@,+=~^|*!<>&%-]+\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NO_CHARACTER = re.compile(r"[\ud800-\udfff]")
_INI_COMMENT = re.compile(r"\s[;#]")
_LONGEST_NGINX = 4_000  # a word has to fit into nginx's buffer of 4096 bytes


class Unrepresentable(ValueError):
    """The target language has no spelling for a value."""


def is_utf8(text: str) -> bool:
    """False where Python put something for bytes that are no UTF-8."""
    return not _NO_CHARACTER.search(text)


def nginx_word(value: object) -> str:
    """One value as one word of nginx's configuration.

    `$` has no escape in directives that expand variables, so it is refused here; variables are written in templates.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = _must_be_text(value)
    if "$" in text:
        raise Unrepresentable(f"{text!r} holds '$', which nginx takes for a variable")
    if _CONTROL.search(text):
        raise Unrepresentable(f"{text!r} holds a control character, which nginx cannot carry")
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    spelt = text if _PLAIN_NGINX.match(text) else quoted
    if len(spelt.encode()) > _LONGEST_NGINX:
        raise Unrepresentable(f"{text[:40]!r}... is longer than nginx can read")
    return spelt


def ini_value(value: object) -> str:
    """One value of supervisord's ini: one line, no comment, no expansion."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = _must_be_text(value)
    if text != text.strip():
        raise Unrepresentable(f"{text!r} has outer spaces, which supervisord cannot carry")
    return _ini(text)


def _ini(text: str) -> str:
    if _CONTROL.search(text):
        raise Unrepresentable(f"{text!r} holds a control character, which supervisord cannot carry")
    if _INI_COMMENT.search(text) or '"' in text or "%(here)s" in text:
        raise Unrepresentable(f"{text!r} holds a quote or a comment, which supervisord cannot carry")
    return text.replace("%", "%%")


def ini_command_word(text: str) -> str:
    """One word of a `command=`, which supervisord splits as a shell would after it has read it as a value."""
    return shlex.quote(_ini(_must_be_text(text)))


def shell_word(value: object) -> str:
    """One value as one word of a POSIX shell, with the socket and the application put in for their marks."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    pieces = _MARK.split(_must_be_text(value))
    if any("\0" in piece for piece in pieces if piece not in _VARIABLES):
        raise Unrepresentable("a NUL character cannot be passed to a program")
    words = [_VARIABLES.get(piece) or (shlex.quote(piece) if piece or len(pieces) == 1 else "") for piece in pieces]
    return "".join(words)


def _must_be_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a template printed {type(value).__name__} {value!s}; print text or a whole number")
    if not is_utf8(value):
        raise Unrepresentable(f"{value!r} holds bytes that are no UTF-8")
    return value
