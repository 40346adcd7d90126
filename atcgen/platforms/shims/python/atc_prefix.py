"""ASGI below a prefix: servers hand over the path as it came, and the application has to know what of it is not its."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def below_prefix(application: Application) -> Application:
    """The application with `root_path` set to SCRIPT_NAME; the path stays whole, as ASGI has it."""
    prefix = os.environ.get("SCRIPT_NAME", "")

    async def prefixed(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if prefix and scope["type"] in ("http", "websocket"):
            scope = {**scope, "root_path": prefix}
        await application(scope, receive, send)

    return prefixed
