"""A small HTTP endpoint on a unix socket: one request a connection, and a client that leaves is noticed."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import h11

log = logging.getLogger("atc.agent")


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """What is answered."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def as_json(status: int, data: Any) -> Answer:
    """Plain data as an answer."""
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(data).encode() + b"\n")


Handler = Callable[[Request], Awaitable[Answer]]


async def serve(sock: socket.socket, handler: Handler) -> asyncio.Server:
    """Answer every connection of a listening socket."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _converse(reader, writer, handler)
        except (OSError, h11.RemoteProtocolError):
            pass
        finally:
            writer.close()

    return await asyncio.start_unix_server(connected, sock=sock)


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
    connection = h11.Connection(h11.SERVER)
    request = await _read(reader, connection)
    if request is None:
        return
    answering = asyncio.ensure_future(handler(request))
    leaving = asyncio.ensure_future(reader.read(1))
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            return  # the client went away; its place is given back
        answer = answering.result()
    finally:
        leaving.cancel()
        answering.cancel()
    headers = [*answer.headers.items(), ("Content-Length", str(len(answer.body))), ("Connection", "close")]
    if answer.status == 204:
        headers = [each for each in headers if each[0] != "Content-Length"]
    writer.write(connection.send(h11.Response(status_code=answer.status, headers=headers)) or b"")
    if answer.body:
        writer.write(connection.send(h11.Data(data=answer.body)) or b"")
    writer.write(connection.send(h11.EndOfMessage()) or b"")
    await writer.drain()


async def _read(reader: asyncio.StreamReader, connection: h11.Connection) -> Request | None:
    request: Request | None = None
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(65_536)
            connection.receive_data(data)
            if not data:
                return None
        elif isinstance(event, h11.Request):
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in event.headers}
            request = Request(event.method.decode(), event.target.decode(), headers)
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return replace(request, body=body) if request else None
        elif isinstance(event, h11.ConnectionClosed):
            return None
