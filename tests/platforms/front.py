"""What stands before atc and speaks TLS: it says `X-Forwarded-Proto: https`, and passes every byte on."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Front:
    """Where it listens, and the file with the authority that clients have to believe."""

    port: int
    authority: str


@contextmanager
def tls_front(behind: int) -> Iterator[Front]:
    """A front for localhost:`behind`."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    loop = asyncio.new_event_loop()
    # asyncio's streams tell the loop of a client that went away in the middle; that is nobody's error here.
    loop.set_exception_handler(lambda _loop, _context: None)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        with tempfile.TemporaryDirectory(prefix="atc-") as home:
            file = Path(home) / "authority.pem"
            authority.cert_pem.write_to_path(str(file))
            server = asyncio.run_coroutine_threadsafe(_listen(behind, context), loop).result()
            try:
                yield Front(server.sockets[0].getsockname()[1], str(file))
            finally:
                asyncio.run_coroutine_threadsafe(_end(server), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _listen(behind: int, context: ssl.SSLContext) -> asyncio.Server:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", behind)
            inner_writer.write(_told(head))
            await asyncio.gather(_pour(reader, inner_writer), _pour(inner_reader, writer))

    return await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)


def _told(head: bytes) -> bytes:
    """One request per connection, so that nothing but its head has to be understood."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    upgrades = any(each.lower().startswith(b"upgrade:") for each in lines)
    kept = [each for each in lines if upgrades or not each.lower().startswith((b"connection:", b"x-forwarded-proto:"))]
    own = [b"X-Forwarded-Proto: https", *([] if upgrades else [b"Connection: close"])]
    return b"\r\n".join((first, *kept, *own, b"", b""))


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        with contextlib.suppress(OSError):
            writer.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for each in others:
        each.cancel()
    await asyncio.gather(*others, return_exceptions=True)
