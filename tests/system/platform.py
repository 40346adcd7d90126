"""A platform in place of Fly.io's: it hears what a machine asks of it over its socket, and answers as it is told to."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer


@dataclass
class Platform:
    """What was asked, in order, and what is answered: `status` for any verb that `statuses` does not name."""

    path: Path
    calls: list[str] = field(default_factory=list)
    status: int = 200
    statuses: dict[str, int] = field(default_factory=dict)
    may_answer: threading.Event = field(default_factory=threading.Event)
    hears: Callable[[str], object] = str  # is called with the path of each call

    @property
    def environ(self) -> Mapping[str, str]:
        """What a machine of it finds in its environment."""
        return {"FLY_APP_NAME": "shows", "FLY_MACHINE_ID": "machine1", "FLY_API_SOCKET": str(self.path)}

    def asked_for(self, verb: str) -> int:
        """How often."""
        return sum(each.endswith(f"/{verb}") for each in self.calls)


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


@contextmanager
def platform() -> Iterator[Platform]:
    """One that listens."""
    with tempfile.TemporaryDirectory(prefix="atcp-") as directory:
        made = Platform(Path(directory, "api"))
        made.may_answer.set()

        class Handler(BaseHTTPRequestHandler):
            def address_string(self) -> str:
                return "-"

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
                """Quiet."""

            def do_POST(self) -> None:
                made.hears(self.path)
                made.calls.append(self.path)
                made.may_answer.wait(30)
                verb = self.path.rpartition("/")[2]
                self.send_response(made.statuses.get(verb, made.status))
                self.end_headers()
                self.wfile.write(b'{"ok": true}')

        server = _Server(str(made.path), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield made
        finally:
            made.may_answer.set()
            server.shutdown()
            thread.join()
            server.server_close()


def connected(port: int) -> socket.socket:
    """A connection that says nothing."""
    return socket.create_connection(("127.0.0.1", port), timeout=30)
