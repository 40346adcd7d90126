"""How many connections are open on a socket right now, from the kernel's tables."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from atcgen.system.probe import Address

_Address = IPv4Address | IPv6Address
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


def listening_ports(tables: Iterable[str]) -> frozenset[int]:
    """Ports that somebody listens on, from the texts of /proc/net/tcp and tcp6."""
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return frozenset(int(fields[1].rsplit(":", 1)[1], 16) for fields in rows if fields[3] == _LISTENING_TCP)


def tcp_visitors(tables: Iterable[str], listeners: Iterable[str], states: frozenset[str] = _OPEN_TCP) -> frozenset[str]:
    """Who is connected to one of these, each by both ends, from the texts of /proc/net/tcp and tcp6.

    A listener is an address and a port, as nginx spells them: several machines may have one port, each at its address.
    """
    wanted = [_listener(each) for each in listeners]
    ports = {port for _, port in wanted}
    found = set()
    for fields in (line.split() for table in tables for line in table.splitlines()[1:]):
        address, _, port = fields[1].rpartition(":")
        if fields[3] in states and int(port, 16) in ports:
            here = _address(address), int(port, 16)
            if here in wanted or (None, here[1]) in wanted:
                found.add(f"{fields[1]} {fields[2]}")
    return frozenset(found)


def _listener(text: str) -> tuple[_Address | None, int]:
    """Address and port; no address is any."""
    host, _, port = text.rpartition(":")
    address = ip_address(host.strip("[]"))
    return (None if address.is_unspecified else address), int(port)


def _address(digits: str) -> _Address:
    """As the kernel writes it: words in the order of this machine's bytes."""
    words = [bytes.fromhex(digits[at : at + 8]) for at in range(0, len(digits), 8)]
    found = ip_address(b"".join(each[::-1] if sys.byteorder == "little" else each for each in words))
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


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
            return self.visitors([_of_tenant(address)])
        if not self._by_path[address.socket]:
            return frozenset()
        rows = (line.split(maxsplit=7) for line in self._unix.splitlines()[1:])
        return frozenset(
            row[6] for row in rows if len(row) == 8 and (row[5], row[7]) == (_CONNECTED_UNIX, address.socket)
        )

    @cached_property
    def _tables(self) -> list[str]:
        tables = [Path(f"/proc/net/{name}") for name in ("tcp", "tcp6")]
        return [each.read_text(encoding="ascii") for each in tables if each.exists()]

    def visitors(self, listeners: Iterable[str]) -> frozenset[str]:
        """Who is connected to one of these."""
        return tcp_visitors(self._tables, listeners)

    def to(self, address: Address) -> int:
        """How many are open to an address.

        One that came through a symlink is listed by the path that was bound.
        """
        if not address.port:
            return self._by_path[address.socket]
        return len(tcp_visitors(self._tables, [_of_tenant(address)], frozenset({_ESTABLISHED_TCP})))


def _of_tenant(address: Address) -> str:
    """Where nginx reaches a process that listens on a port."""
    return f"127.0.0.1:{address.port}"
