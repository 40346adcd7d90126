"""An application that keeps what it was told: `POST …/add?id=N` is answered when N is committed, `GET …/rows` says what
is there. On the socket that is its argument, with a database at $DATABASE; JOURNAL and SYNC are SQLite's modes. X-Who
of each answer is $OWNER and $MACHINE.
"""

from __future__ import annotations

import http.server
import json
import os
import signal
import socketserver
import sqlite3
import sys
import threading
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS bodies ON entries (body);
"""


class Ledger:
    """The database, used by one request at a time."""

    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        self._lock = threading.Lock()
        with suppress(sqlite3.OperationalError):  # who copies it has it open, and the mode stays as it is
            self._database.execute(f"PRAGMA journal_mode={os.environ.get('JOURNAL', 'wal')}")
        self._database.execute(f"PRAGMA synchronous={os.environ.get('SYNC', 'FULL')}")
        self._database.executescript(_SCHEMA)

    def add(self, number: int) -> None:
        """Returns when it is committed."""
        with self._lock:
            self._database.execute("INSERT INTO entries VALUES (?, ?)", (number, f"{number * 7919 % 10007}" * 20))

    def rows(self) -> dict[str, object]:
        """What is there, and what SQLite thinks of it."""
        with self._lock:
            found = [each for (each,) in self._database.execute("SELECT id FROM entries ORDER BY id")]
            problem = self._database.execute("PRAGMA integrity_check").fetchone()[0]
            journal = self._database.execute("PRAGMA journal_mode").fetchone()[0]
        return {"rows": found, "integrity": problem, "journal": journal}

    def close(self) -> None:
        """Nobody asks any more."""
        with self._lock:
            self._database.close()


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = False
    request_queue_size = 512
    ledger: Ledger


class Handler(http.server.BaseHTTPRequestHandler):
    """One request for each connection, so that no thread waits for a second one at the end."""

    server: _Server
    wbufsize = -1

    def address_string(self) -> str:
        return "-"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Quiet."""

    def do_GET(self) -> None:
        if urlsplit(self.path).path.endswith("/rows"):
            self._say(json.dumps(self.server.ledger.rows()))
        elif self.path.endswith("/environment"):
            self._say(json.dumps(dict(os.environ)))
        else:
            self._say(f"ledger {os.getpid()}")

    def do_POST(self) -> None:
        try:
            self.server.ledger.add(int(parse_qs(urlsplit(self.path).query)["id"][0]))
        except sqlite3.Error as problem:
            self._say(str(problem), 500)
        else:
            self._say("committed")

    def _say(self, text: str, status: int = 200) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Who", f"{os.environ.get('OWNER', '')} {os.environ.get('MACHINE', '')}")
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until SIGTERM, finish what was begun, and close the database."""
    with _Server(sys.argv[1], Handler) as server:
        server.ledger = Ledger(os.environ["DATABASE"])

        def end(*_: object) -> None:
            threading.Thread(target=server.shutdown).start()  # which waits for the loop that is interrupted here

        signal.signal(signal.SIGTERM, end)
        server.serve_forever(poll_interval=0.05)
    server.ledger.close()


if __name__ == "__main__":
    main()
    sys.exit(0)
