"""An address is held until nginx listens: who connects before is refused, and never accepted and dropped."""

from __future__ import annotations

import socket
from contextlib import suppress

import pytest

from atcgen.errors import Unavailable
from atcgen.system.listen import held_addresses
from tests.compiler.compiling import compiled, machine
from tests.system.running import free_port

pytestmark = pytest.mark.system


def test_nobody_else_listens_on_an_address_that_is_held() -> None:
    """Not even who says that addresses may be used again, as `nginx -t` does."""
    port = free_port()
    plan = compiled(f"server: {{http_port: {port}, bind: 127.0.0.1}}", machine()).plan
    with held_addresses(plan), socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)
        with pytest.raises(Unavailable, match="the port is in use"), held_addresses(plan):
            pass
    with socket.socket() as other, suppress(OSError):
        other.bind(("127.0.0.1", port))
        other.listen()
