"""How many connections are open on a socket right now, from the kernel's tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from atcgen.system.probe import Address

_CONNECTED_UNIX = "03"
_ESTABLISHED_TCP = "01"
_LISTENING_TCP = "0A"
_OPEN_TCP = frozenset({_ESTABLISHED_TCP, "08"})  # the second is of a client that has nothing more to say, and listens


def unix_connections(table: str) -> Counter[str]:
    """Connections per socket path, from the text of /proc/net/unix."""
    found: Counter[str] = Counter()
    for line in table.splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and fields[5] == _CONNECTED_UNIX:
            found[fields[7]] += 1
    return found


def tcp_connections(tables: Iterable[str]) -> Counter[int]:
    """Connections per local port, from the texts of /proc/net/tcp and tcp6."""
    found: Counter[int] = Counter()
    for table in tables:
        for line in table.splitlines()[1:]:
            fields = line.split()
            if fields[3] == _ESTABLISHED_TCP:
                found[int(fields[1].rsplit(":", 1)[1], 16)] += 1
    return found


def listening_ports(tables: Iterable[str]) -> frozenset[int]:
    """Ports that somebody listens on, from the texts of /proc/net/tcp and tcp6."""
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return frozenset(int(fields[1].rsplit(":", 1)[1], 16) for fields in rows if fields[3] == _LISTENING_TCP)


def tcp_visitors(tables: Iterable[str], ports: frozenset[int]) -> frozenset[str]:
    """Who is connected to one of these ports, each by both ends, from the texts of /proc/net/tcp and tcp6."""
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return frozenset(
        f"{fields[1]} {fields[2]}"
        for fields in rows
        if fields[3] in _OPEN_TCP and int(fields[1].rsplit(":", 1)[1], 16) in ports
    )


class Connections:
    """The connections of this machine at the moment that each table is first asked for.

    The kernel takes milliseconds to list ports, and nobody may need them.
    """

    @cached_property
    def _unix(self) -> str:
        return Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace")

    @cached_property
    def _by_path(self) -> Counter[str]:
        return unix_connections(self._unix)

    def which(self, address: Address) -> frozenset[str]:
        """Which ones are open to an address: each has a name of its own as long as it is."""
        if address.port:
            return self.visitors(frozenset({address.port}))
        if not self._by_path[address.socket]:
            return frozenset()
        rows = (line.split(maxsplit=7) for line in self._unix.splitlines()[1:])
        return frozenset(
            row[6] for row in rows if len(row) == 8 and (row[5], row[7]) == (_CONNECTED_UNIX, address.socket)
        )

    @cached_property
    def _by_port(self) -> Counter[int]:
        return tcp_connections(self._tables)

    @cached_property
    def _tables(self) -> list[str]:
        tables = [Path(f"/proc/net/{name}") for name in ("tcp", "tcp6")]
        return [each.read_text(encoding="ascii") for each in tables if each.exists()]

    def visitors(self, ports: frozenset[int]) -> frozenset[str]:
        """Who is connected to one of these ports."""
        return tcp_visitors(self._tables, ports)

    def to(self, address: Address) -> int:
        """How many are open to an address.

        One that came through a symlink is listed by the path that was bound.
        """
        return self._by_port[address.port] if address.port else self._by_path[address.socket]
