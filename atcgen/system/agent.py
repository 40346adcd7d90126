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
    connection = UnixConnection(str(home / "run/control.sock"))
    try:
        connection.request(method, target, body.encode())
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except (OSError, http.client.HTTPException):
        raise Unavailable(f"no atc runs with the state directory {home}", hint="start it with: atc run") from None
    finally:
        connection.close()
