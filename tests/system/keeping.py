"""An application that keeps everything in its own directory, by relative paths, as most are written."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.system.application import Handler, _OnSocket
else:
    from application import Handler, _OnSocket


class Keeping(Handler):
    """Reads and writes files and a database below the working directory."""

    def _get_write(self, query: dict[str, str]) -> None:
        path = Path(query["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(query["text"], encoding="utf-8")
        self._say("written")

    def _get_read(self, query: dict[str, str]) -> None:
        path = Path(query["path"])
        self._say(path.read_text(encoding="utf-8") if path.exists() else "nothing")

    def _get_add(self, query: dict[str, str]) -> None:
        with closing(sqlite3.connect(query["database"])) as database, database:
            database.execute("PRAGMA journal_mode=wal")
            database.execute("CREATE TABLE IF NOT EXISTS notes (text)")
            database.execute("INSERT INTO notes VALUES (?)", (query["text"],))
        self._say("added")

    def _get_all(self, query: dict[str, str]) -> None:
        with closing(sqlite3.connect(query["database"])) as database:
            rows = database.execute("SELECT text FROM notes ORDER BY rowid").fetchall()
        self._say(json.dumps([row[0] for row in rows]))

    def _get_named(self, query: dict[str, str]) -> None:
        """A file that the one in front is to send, by the name that the application has for it."""
        for pair in self.headers.get("X-Accel-Mapping", "").split(","):
            inside, _, outside = pair.partition("=")
            if inside and query["path"].startswith(inside):
                self._say("", headers={"X-Accel-Redirect": outside + query["path"].removeprefix(inside)})
                return
        self._say("no mapping", 500)

    def _get_redirected(self, query: dict[str, str]) -> None:
        self._say("", headers={"X-Accel-Redirect": query["to"]})

    def _get_where(self, _: dict[str, str]) -> None:
        said = {"directory": os.getcwd(), "root": os.environ["ROOT"], "user": os.getuid(), "groups": os.getgroups()}
        self._say(json.dumps(said | {"pid": os.getpid(), "release": Path("release.txt").read_text(encoding="utf-8")}))


def main() -> None:
    """Refuse to start twice, as servers with a file for their process id do; then serve."""
    if sys.argv[1:] == ["prepare"]:
        with Path("tmp", "prepared").open("a", encoding="utf-8") as file:
            file.write(f"{Path('release.txt').read_text(encoding='utf-8')} {os.getcwd()}\n")
        return
    pid = Path("tmp", f"{os.environ['SOCKET'].rpartition('/')[2]}.pid")
    try:
        with pid.open("x", encoding="utf-8") as file:
            file.write(str(os.getpid()))
    except FileExistsError:
        if os.path.exists(f"/proc/{pid.read_text(encoding='utf-8')}"):
            sys.exit("a server is already running")
        pid.write_text(str(os.getpid()), encoding="utf-8")
    _OnSocket(os.environ["SOCKET"], Keeping).serve_forever()


if __name__ == "__main__":
    main()
