"""One end of an HTTP/1.1 connection: h11 over asyncio's streams."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import h11

_CHUNK = 65_536
_LONGEST_HEAD = 131_072

Event = h11.Request | h11.InformationalResponse | h11.Response | h11.Data | h11.EndOfMessage | h11.ConnectionClosed


class Wire:
    """A connection to a client, or to a machine."""

    def __init__(self, role: type[Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.http = h11.Connection(role, max_incomplete_event_size=_LONGEST_HEAD)
        self.reader = reader
        self.writer = writer

    async def next_event(self) -> Event | type[h11.PAUSED]:
        """What the other end says next; `h11.RemoteProtocolError` when it makes no sense."""
        while True:
            event = self.http.next_event()
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]
            try:
                data = await self.reader.read(_CHUNK)
            except OSError:
                data = b""
            self.http.receive_data(data)

    async def send(self, *events: Any) -> None:
        """Say something; `OSError` when nobody listens any more."""
        for event in events:
            data = self.http.send(event)
            if data:
                self.writer.write(data)
        await self.writer.drain()

    def close(self) -> None:
        """End the connection in good order."""
        with suppress(OSError, RuntimeError):
            self.writer.close()

    def abort(self) -> None:
        """End the connection at once."""
        with suppress(AttributeError, RuntimeError):
            self.writer.transport.abort()
