"""The application of the system tests: plain HTTP on $SOCKET, or on $PORT; it knows nothing of tenants or of atc."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import os
import socketserver
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit


class _OnSocket(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 512


class _OnPort(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 512


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by the last segment of the path."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write for headers and body: an answer that has begun cannot be given again

    def address_string(self) -> str:
        return "-"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Quiet, so that what a test prints is what failed."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        answer = getattr(self, f"_get_{url.path.rsplit('/', 1)[-1].replace('.', '_')}", None)
        if answer:
            answer({key: values[0] for key, values in parse_qs(url.query).items()})
        else:
            self._say(f"{os.environ.get('OWNER', '')} {os.getpid()}")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        with open(os.environ["NOTES"], "a", encoding="utf-8") as notes:
            notes.write(f"{self.headers.get('X-Number', '')} {length} {hashlib.sha256(body).hexdigest()}\n")
        if self.path.endswith("/exit"):
            os._exit(1)
        self._say(f"{length} {hashlib.sha256(body).hexdigest()}")

    def _say(self, text: str | bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        body = text.encode() if isinstance(text, str) else text
        self.send_response(status)
        for name, value in {"Content-Type": "text/plain", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _get_headers(self, _: dict[str, str]) -> None:
        self._say(json.dumps({name.lower(): value for name, value in self.headers.items()} | {"path": self.path}))

    def _get_environment(self, _: dict[str, str]) -> None:
        self._say(json.dumps(dict(os.environ)))

    def _get_slow(self, query: dict[str, str]) -> None:
        time.sleep(float(query["seconds"]))
        self._say(f"{os.environ.get('OWNER', '')} {os.getpid()}")

    def _get_exit(self, _: dict[str, str]) -> None:
        os._exit(1)

    def _get_large(self, query: dict[str, str]) -> None:
        self._say(b"x" * int(query["size"]), headers={"Content-Type": query.get("type", "text/plain")})

    def _get_cached_css(self, query: dict[str, str]) -> None:
        size = int(query.get("size", "10"))
        self._say(
            f"{time.time_ns()} ".ljust(size), headers={"Cache-Control": query.get("control", "public, max-age=60")}
        )

    def _get_file(self, query: dict[str, str]) -> None:
        """As frameworks do: the file's name in the header the front asked for, with its prefix put in."""
        kind, mapping = self.headers.get("X-Sendfile-Type", ""), self.headers.get("X-Accel-Mapping", "")
        path = os.path.realpath(query["path"])
        for pair in mapping.split(","):
            inside, _, outside = pair.partition("=")
            if inside and path.startswith(inside):
                self._say("", headers={kind: outside + path.removeprefix(inside)})
                return
        self._say("no mapping", 500)

    def _get_refused(self, _: dict[str, str]) -> None:
        self._say("who are you?", 401)

    def _get_login(self, _: dict[str, str]) -> None:
        self._say("", 302, {"Location": "/", "Set-Cookie": "session=1; Path=/; HttpOnly"})

    def _get_events(self, query: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("X-Accel-Buffering", "no")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for number in range(int(query["count"])):
            self.wfile.write(f"data: {number}\n\n".encode())
            self.wfile.flush()
            go_on = Path(query["gate"])
            while number == 0 and not go_on.exists():
                time.sleep(0.01)

    def _get_socket(self, _: dict[str, str]) -> None:
        """A WebSocket that echoes bytes without looking at frames: enough to see that they pass."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        while data := self.connection.recv(4096):
            self.connection.sendall(data)


def main(handler: type[Handler] = Handler) -> None:
    """Boot, note the start, serve."""
    with open(os.environ["STARTS"], "a", encoding="utf-8") as starts:
        starts.write(f"{os.environ.get('OWNER', '')} {os.getpid()}\n")
    time.sleep(float(os.environ.get("BOOT_SECONDS", "0")))
    if os.environ.get("FAIL"):
        sys.exit(f"cannot boot: {os.environ['FAIL']}")
    if "PORT" in os.environ:
        _OnPort(("127.0.0.1", int(os.environ["PORT"])), handler).serve_forever()
    _OnSocket(os.environ["SOCKET"], handler).serve_forever()


if __name__ == "__main__":
    main()
