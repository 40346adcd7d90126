"""What follows a 101: bytes in both directions, and the close frame of a machine that leaves."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from simulator.frames import GOING_AWAY, Boundary
from simulator.wire import Wire

_CHUNK = 65_536


class Tunnel:
    """An upgraded connection between a client and a machine."""

    def __init__(self, client: Wire, machine: Wire, *, is_websocket: bool) -> None:
        self._client = client
        self._machine = machine
        self._boundary = Boundary() if is_websocket else None
        self._is_leaving = False

    async def run(self) -> None:
        """Until one end closes."""
        first, _ = self._machine.http.trailing_data
        early, _ = self._client.http.trailing_data
        self._to_client(first)
        self._machine.writer.write(early)
        with suppress(OSError):
            ways = [self._downwards(), self._upwards()]
            tasks = [asyncio.ensure_future(each) for each in ways]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in tasks:
                    each.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def cut(self) -> None:
        """The machine left: the client finds its connection closed."""
        self._client.abort()
        self._machine.abort()

    def go_away(self) -> None:
        """Close the client's WebSocket with 1001, as soon as no frame is cut in two."""
        self._is_leaving = self._boundary is not None
        if self._boundary and self._boundary.is_between:
            self._say_goodbye()

    async def _upwards(self) -> None:
        while data := await self._client.reader.read(_CHUNK):
            self._machine.writer.write(data)
            await self._machine.writer.drain()

    async def _downwards(self) -> None:
        while data := await self._machine.reader.read(_CHUNK):
            self._to_client(data)
            await self._client.writer.drain()

    def _to_client(self, data: bytes) -> None:
        complete = self._boundary.feed(data) if self._boundary else 0
        if self._is_leaving and complete:
            self._client.writer.write(data[:complete])
            self._say_goodbye()
        elif not self._client.writer.is_closing():
            self._client.writer.write(data)

    def _say_goodbye(self) -> None:
        if not self._client.writer.is_closing():
            self._client.writer.write(GOING_AWAY)
            self._client.close()
