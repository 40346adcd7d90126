"""An application that writes rows as fast as it can and notes in a ledger which of them were committed.

    python application.py DATABASE LEDGER SYNCHRONOUS

It ends on SIGTERM, after the row that it is at.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time

ended: list[int] = []


def main(database: str, ledger: str, synchronous: str) -> None:
    """Write until told to end."""
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    connection = sqlite3.connect(database, timeout=10, isolation_level=None)
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA wal_autocheckpoint=50")  # the log starts anew again and again, as in a long life
    connection.execute("CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, body BLOB)")
    notes = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    while not ended:
        row = connection.execute("INSERT INTO entries (body) VALUES (randomblob(700)) RETURNING id").fetchone()[0]
        os.write(notes, f"{row}\n".encode())
        time.sleep(0.0005)
    connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
