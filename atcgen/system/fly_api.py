"""The API of Fly.io as a machine reaches it by itself: over a socket, without a token, and about itself only."""

from __future__ import annotations

import http.client
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from atcgen.errors import Unavailable
from atcgen.system.unix_http import UnixConnection

_SOCKET = "/.fly/api"
_PATIENCE = 10.0  # seconds
# 4xx that say nothing of what was asked: too late, somebody else is at it, too often.
_PASSING = frozenset({408, 409, 423, 425, 429})


class NotAllowed(Unavailable):
    """This machine cannot be told that; to ask again is of no use."""


def socket_of(environ: Mapping[str, str]) -> str:
    """The socket, '' where this is not a machine of Fly.io."""
    path = environ.get("FLY_API_SOCKET") or _SOCKET
    if environ.get("FLY_MACHINE_ID") and environ.get("FLY_APP_NAME"):
        with suppress(OSError):
            if stat.S_ISSOCK(Path(path).stat().st_mode):
                return path
    return ""


def order(socket: str, machine: str, verb: str) -> None:
    """Tell this machine to `suspend`, `stop` or `start`; it is done some time after the answer. Blocking.

    Raises `NotAllowed`, and `Unavailable` when it may succeed another time.
    """
    connection = UnixConnection(socket, timeout=_PATIENCE)
    try:
        connection.request("POST", f"{machine}/{verb}", headers={"Host": "flaps", "Content-Length": "0"})
        with connection.getresponse() as answer:
            said = answer.read(1000).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as problem:
        raise Unavailable(f"{socket} does not answer: {problem}") from None
    finally:
        connection.close()
    if answer.status >= 300:
        refusal = NotAllowed if 400 <= answer.status < 500 and answer.status not in _PASSING else Unavailable
        raise refusal(f"the platform answered {answer.status}: {said}")
