"""Who is connected is told apart by address, where several machines listen at one port."""

from __future__ import annotations

import socket

import pytest

from atcgen.system.connections import Connections
from atcgen.system.probe import Address


@pytest.mark.parametrize("here", ["127.0.0.1", "[::1]"])
def test_a_connection_is_of_the_address_where_it_arrived(here: str) -> None:
    host = here.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        listener.listen()
        port = listener.getsockname()[1]
        with socket.create_connection((host, port)) as client:
            ours = Connections().visitors([f"{here}:{port}"])
            assert len(ours) == 1
            assert Connections().visitors([f"127.0.0.2:{port}", f"[::2]:{port}"]) == frozenset()
            assert Connections().visitors([f"0.0.0.0:{port}"]) == ours
            assert Connections().to(Address(port=port)) == (host == "127.0.0.1")
            client.close()
            listener.accept()[0].close()
