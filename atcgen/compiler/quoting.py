"""How a value is spelt in nginx's configuration, in supervisord's ini and in a shell script, or that it cannot be.

Templates print through these (Jinja's `finalize`), so no value can end a directive, a section or a command, whatever
it holds. The rules follow nginx's own reader (src/core/ngx_conf_file.c) and supervisord's options.
"""

from __future__ import annotations

import re
import shlex

from atcgen.compiler.interpolate import SOCKET_MARK

_PLAIN_NGINX = re.compile(r"[A-Za-z0-9_./:@,+=~^|*!<>&%-]+\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Unrepresentable(ValueError):
    """The target language has no spelling for a value."""


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
    if text and _PLAIN_NGINX.match(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def ini_value(value: object) -> str:
    """One value of supervisord's ini: one line, no comment, no expansion."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = _must_be_text(value)
    if _CONTROL.search(text):
        raise Unrepresentable(f"{text!r} holds a control character, which supervisord cannot carry")
    if " ;" in text or '"' in text or text != text.strip():
        raise Unrepresentable(f"{text!r} holds a quote, a comment or outer spaces, which supervisord cannot carry")
    return text.replace("%", "%%")


def ini_command_word(text: str) -> str:
    """One word of a `command=`, which supervisord splits as a shell would."""
    if '"' in text or " ;" in text or _CONTROL.search(text):
        raise Unrepresentable(f"{text!r} holds what a command of supervisord cannot carry")
    return shlex.quote(text)


def shell_word(value: object) -> str:
    """One value as one word of a POSIX shell, with the socket of the slot put in for its mark."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    pieces = _must_be_text(value).split(SOCKET_MARK)
    if any("\0" in piece for piece in pieces):
        raise Unrepresentable("a NUL character cannot be passed to a program")
    return '"$SOCKET"'.join(shlex.quote(piece) if piece or len(pieces) == 1 else "" for piece in pieces)


def _must_be_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a template printed {type(value).__name__} {value!s}; print text or a whole number")
    return value
