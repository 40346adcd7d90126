"""What machines need besides each other, such as a store: a process for each, which is there before they are."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import h11

from simulator.processes import Tree
from simulator.wire import Wire

if TYPE_CHECKING:
    from simulator.description import ServiceSpec

_ADDRESS = "127.0.0.1"
_PATIENCE = 60.0  # seconds until it answers
_LOOK = 0.02


class ServiceFailed(Exception):
    """A service did not come up."""


class Service:
    """One of them."""

    def __init__(self, spec: ServiceSpec, home: Path) -> None:
        self.spec = spec
        self.port = spec.port or _free_port()
        self.log = home / f"{spec.name}.log"
        self._home = home
        self._tree: Tree | None = None

    @property
    def address(self) -> str:
        """Its host and port."""
        return f"{_ADDRESS}:{self.port}"

    async def open(self) -> None:
        """Start it, and return once it answered what it is asked at first; `ServiceFailed` when it does not."""
        known = {"port": str(self.port), "here": os.getcwd(), "home": str(self._home)}
        words = [_filled(each, known) for each in self.spec.command]
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FLY_"))}
        own = {name: _filled(value, known) for name, value in self.spec.env.items()}
        self._tree = await Tree.spawn(words, environ | own, self._home, self.log)
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._listens()
                for each in self.spec.requests:
                    await self._ask(*each.split(maxsplit=1))
        except TimeoutError:
            raise ServiceFailed(f"{self.spec.name} does not answer; {self.log} says why") from None

    async def close(self) -> None:
        """End it."""
        if self._tree:
            await self._tree.kill()

    async def _listens(self) -> None:
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection(_ADDRESS, self.port)
                writer.close()
                return
            if self._tree is None or not self._tree.pids:
                said = self.log.read_text(encoding="utf-8", errors="replace")
                raise ServiceFailed(f"{self.spec.name} ended:\n{said}")
            await asyncio.sleep(_LOOK)

    async def _ask(self, method: str, path: str) -> None:
        reader, writer = await asyncio.open_connection(_ADDRESS, self.port)
        wire = Wire(h11.CLIENT, reader, writer)
        try:
            headers = [("host", self.address), ("content-length", "0"), ("connection", "close")]
            await wire.send(h11.Request(method=method, target=path, headers=headers), h11.EndOfMessage())
            answer = await wire.next_event()
        finally:
            writer.close()
        if not isinstance(answer, h11.Response) or answer.status_code >= 400:
            raise ServiceFailed(f"{self.spec.name} refused {method} {path}: {answer}")


def addresses(services: Sequence[Service]) -> dict[str, str]:
    """What is filled in for machines: `service:NAME` is where it listens."""
    return {f"service:{each.spec.name}": each.address for each in services}


def _filled(text: str, known: dict[str, str]) -> str:
    for name, value in known.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind((_ADDRESS, 0))
        port: int = sock.getsockname()[1]
        return port
