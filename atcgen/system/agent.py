"""The agent of a running atc, asked over its control socket."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

from atcgen.errors import Unavailable
from atcgen.system.unix_http import UnixConnection


def ask(home: Path, method: str, target: str, body: str = "") -> tuple[int, Any]:
    """The status and the data of its answer; raises `Unavailable` when no atc runs with the state directory `home`."""
    status, said = ask_for_text(home, method, target, body)
    return status, json.loads(said)


def ask_for_text(home: Path, method: str, target: str, body: str = "") -> tuple[int, str]:
    """The same, as it was said."""
    connection = UnixConnection(str(home / "run/control.sock"))
    try:
        connection.request(method, target, body.encode())
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, http.client.HTTPException):
        raise Unavailable(f"no atc runs with the state directory {home}", hint="start it with: atc run") from None
    finally:
        connection.close()
