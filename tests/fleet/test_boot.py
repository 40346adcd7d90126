"""A machine that boots because a request came for it: Fly Proxy tries to connect until it can, and then only once."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from atcgen.compiler import Compiled
from atcgen.errors import Unavailable
from atcgen.system import nginx
from atcgen.system.listen import held_addresses
from tests.compiler.compiling import compiled
from tests.compiler.real_nginx import directory, require_nginx, written
from tests.compiler.test_accepted_files import here

_TESTS = 8


@pytest.fixture(params=["127.77.0.1", "::1"])
def address(request: pytest.FixtureRequest) -> tuple[str, int]:
    """An address that nobody listens on."""
    host: str = request.param
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.bind((host, 0))
        port: int = sock.getsockname()[1]
        return host, port


def test_nobody_is_accepted_while_the_configuration_is_tested(address: tuple[str, int]) -> None:
    require_nginx()
    with directory() as home, held_addresses(made(address, home).plan):
        configuration = written(made(address, home))
        with knocking(address) as accepted:
            for _ in range(_TESTS):
                nginx.test(configuration, made(address, home).plan.server, home / "log")
    assert not accepted


def test_an_address_is_held_for_a_while(address: tuple[str, int], tmp_path: Path) -> None:
    """By one alone, and free afterwards."""
    plan = made(address, tmp_path).plan
    with held_addresses(plan):
        with pytest.raises(Unavailable, match="the port is in use"), held_addresses(plan):
            pass
        with pytest.raises(OSError, match="in use"), listening(address):
            pass
    with listening(address):
        socket.create_connection(address).close()


def made(address: tuple[str, int], home: Path) -> Compiled:
    """A tenant behind that address."""
    host, port = address
    text = f"server: {{bind: '{host}', http_port: {port}}}\nusers: {{a: {{tenants: {{x: {{}}}}}}}}"
    return compiled(text, here(home, nginx_version=(1, 18, 0)))


@contextmanager
def knocking(address: tuple[str, int]) -> Iterator[list[bool]]:
    """Somebody who tries to connect all the time; the list has an item for each time that somebody was there."""
    accepted: list[bool] = []
    over = threading.Event()

    def knock() -> None:
        while not over.is_set():
            try:
                socket.create_connection(address, 5).close()
            except ConnectionRefusedError:
                continue
            accepted.append(True)

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        yield accepted
    finally:
        over.set()
        thread.join()


@contextmanager
def listening(address: tuple[str, int]) -> Iterator[None]:
    """Somebody listens, as nginx does."""
    with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen()
        yield
