"""A small web application: answers every GET and POST with a short text, on the unix socket in SOCKET.

BOOT is how many seconds of CPU its boot takes. Each POST of something that it has carried out is a byte in the file
that COUNT names, if any.
"""

from __future__ import annotations

import http.server
import os
import socketserver
import time


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A thread per connection; ends when the open connections do."""

    daemon_threads = True
    request_queue_size = 512


class Handler(http.server.BaseHTTPRequestHandler):
    """The only page."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = False  # there is none on a unix socket
    wbufsize = -1

    def do_GET(self) -> None:
        body = os.environ.get("WORD", "small").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if body and "COUNT" in os.environ:
            with open(os.environ["COUNT"], "ab") as count:
                count.write(b".")
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""


def boot(seconds: float) -> None:
    """Use so much CPU."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(1000))


if __name__ == "__main__":
    boot(float(os.environ.get("BOOT", "0")))
    Server(os.environ["SOCKET"], Handler).serve_forever()
