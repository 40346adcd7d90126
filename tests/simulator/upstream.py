"""A tiny application for machines: it echoes what it got, and answers what the query asks for.

Run as a program, with PORT in its environment; its parameters:
`header=NAME:VALUE` (repeatable), `status` and `delay` where `on` is its app, which is `router` if unset, and `*` for
all, and only for a request that was not replayed, unless there is `again=1`; others say `then`, or 200, after `wait`;
`say` (the body), `early=1` (answer before reading the body), `ws=APP` (this app accepts an upgrade), `die=1` (say
nothing).
`/count` counts in memory, `/file?name=` reads or writes a file, `/dial?port=` opens a connection and keeps it,
`/dialed` says whether it still works, `/fail` and `/mend` are for health checks of `/health`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_MEMORY: dict[str, Any] = {"count": 0}


async def _head(reader: asyncio.StreamReader) -> tuple[str, str, list[list[str]]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    return method, target, [[part.strip() for part in line.split(":", 1)] for line in lines[1:] if line]


async def _body(reader: asyncio.StreamReader, named: dict[str, str]) -> bytes:
    if "chunked" not in named.get("transfer-encoding", ""):
        return await reader.readexactly(int(named.get("content-length", 0)))
    found = b""
    while size := int(await reader.readline(), 16):
        found += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return found


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            method, target, headers = await _head(reader)
            if not await _answer(method, target, headers, reader, writer):
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _answer(
    method: str, target: str, headers: list[list[str]], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    url = urlsplit(target)
    query = parse_qs(url.query)
    named = {name.lower(): value for name, value in headers}
    if "upgrade" in named and query.get("ws", [""])[0] in ("*", os.environ["FLY_APP_NAME"]):
        return await _websocket(query, reader, writer)
    body = b"" if "early" in query else await _body(reader, named)
    if "die" in query:
        return False
    asked = _is_asked(query, named)
    await asyncio.sleep(float(query.get("delay" if asked else "wait", ["0"])[0]))
    said = _said(url.path, query, {"method": method, "target": target, "headers": headers}, body)
    extra = "".join(
        f"{each.replace(':', ': ', 1)}\r\n" for each in (query.get("header", []) if asked else []) + _rules(url.path)
    )
    failing = url.path == "/health" and _MEMORY.get("failing")
    status = query.get("status" if asked else "then", ["500" if failing else "200"])[0]
    if status != "204":
        extra += f"content-length: {len(said)}\r\n"
    writer.write(f"HTTP/1.1 {status} Said\r\n{extra}\r\n".encode() + (b"" if method == "HEAD" else said))
    await writer.drain()
    if "early" in query:
        await _body(reader, named)
    return True


def _is_asked(query: dict[str, list[str]], named: dict[str, str]) -> bool:
    """Is it for this machine to say what the query asks for?"""
    own = query.get("on", ["router"])[0] in ("*", os.environ["FLY_APP_NAME"])
    return own and ("again" in query or not named.keys() & {"fly-replay-src", "fly-replay-failed"})


def _rules(path: str) -> list[str]:
    """What this machine always says: RULES is JSON, from a prefix of paths to a list of headers."""
    rules = json.loads(os.environ.get("RULES", "{}"))
    return [each for prefix, headers in rules.items() if path.startswith(prefix) for each in headers]


def _said(path: str, query: dict[str, list[str]], request: dict[str, Any], body: bytes) -> bytes:
    if "say" in query:
        return query["say"][0].encode()
    if path == "/count":
        _MEMORY["count"] += 1
        return str(_MEMORY["count"]).encode()
    if path == "/file":
        return _file(Path(unquote(query["name"][0])), body)
    if path in ("/fail", "/mend"):
        _MEMORY["failing"] = path == "/fail"
    if path == "/dial":
        loop = asyncio.get_running_loop()
        _MEMORY["dialed"] = loop.create_task(asyncio.open_connection("127.0.0.1", int(query["port"][0])))
        return b""
    if path == "/dialed":
        return b"broken" if _is_broken() else b"open"
    seen = {"machine": os.environ["FLY_MACHINE_ID"], "length": len(body), "pid": os.getpid(), **request}
    return json.dumps(seen | {"env": dict(os.environ), "body": body[:1000].decode("latin-1")}).encode()


def _file(file: Path, body: bytes) -> bytes:
    if body:
        file.write_bytes(body)
    return file.read_bytes() if file.exists() else b"nothing"


def _is_broken() -> bool:
    reader, _ = _MEMORY["dialed"].result()
    return bool(reader.at_eof() or reader.exception())


async def _websocket(query: dict[str, list[str]], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    extra = "".join(f"{each.replace(':', ': ', 1)}\r\n" for each in query.get("header", []))
    switch = f"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: Upgrade\r\n{extra}\r\n"
    name = os.environ["FLY_MACHINE_ID"].encode()
    writer.write(switch.encode() + bytes([0x82, len(name)]) + name)
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    return False


async def _main() -> None:
    await asyncio.sleep(float(os.environ.get("BOOT", "0")))
    told = os.environ.get("TOLD")  # a file that remembers the signals
    if told:
        for each in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(each, _remember, Path(told), each)
    if os.environ.get("CHILD"):
        _MEMORY["child"] = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "import time\nwhile True: time.sleep(1)", start_new_session=True
        )
    server = await asyncio.start_server(_serve, os.environ["FLY_PRIVATE_IP"], int(os.environ["PORT"]))
    async with server:
        await server.serve_forever()


def _remember(file: Path, number: signal.Signals) -> None:
    with file.open("a") as said:
        said.write(f"{number.name} {time.time()}\n")
    if not os.environ.get("STUBBORN"):
        sys.exit(0)


if __name__ == "__main__":
    asyncio.run(_main())
