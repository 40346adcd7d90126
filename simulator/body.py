"""The body of a client's request: streamed on, and kept as far as a replay may need it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import h11

from simulator.wire import Wire


class Gone(Exception):
    """The client went away in the middle of its request."""


class Body:
    """Read once from the client, as often as needed from what was kept."""

    def __init__(self, wire: Wire, limit: int) -> None:
        self._wire = wire
        self._limit = limit
        self._kept: list[bytes] | None = []
        self.received = 0
        self.is_complete = False

    @property
    def is_too_long(self) -> bool:
        """Is more there than can be sent again?"""
        return self._kept is None

    async def chunks(self) -> AsyncIterator[bytes]:
        """All of it, from the beginning; only possible while it is not too long."""
        if self._kept is None:
            raise RuntimeError("the beginning of this body is gone")
        for chunk in list(self._kept):
            yield chunk
        while not self.is_complete:
            chunk = await self._read()
            if chunk:
                yield chunk

    async def fits(self) -> bool:
        """Read on until the end; false as soon as it is too long for a replay."""
        while not self.is_complete and not self.is_too_long:
            await self._read()
        return not self.is_too_long

    async def _read(self) -> bytes:
        if self._wire.http.they_are_waiting_for_100_continue:
            await self._wire.send(h11.InformationalResponse(status_code=100, headers=[]))
        try:
            event = await self._wire.next_event()
        except h11.RemoteProtocolError as problem:
            raise Gone(str(problem)) from None
        if isinstance(event, h11.EndOfMessage):
            self.is_complete = True
            return b""
        if not isinstance(event, h11.Data):
            raise Gone
        chunk = bytes(event.data)
        self.received += len(chunk)
        self._keep(chunk)
        return chunk

    def _keep(self, chunk: bytes) -> None:
        if self.received > self._limit:
            self._kept = None
        elif self._kept is not None:
            self._kept.append(chunk)
