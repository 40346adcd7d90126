"""The resolvers of the private networks, on UDP ports of the loopback interface."""

from __future__ import annotations

import asyncio
from typing import Any

from dnslib import QTYPE, RCODE, RR, TXT, A, DNSError, DNSRecord

from simulator.lifecycle import State
from simulator.names import Host, addresses, texts
from simulator.registry import Registry, is_gone

_TTL = 5  # seconds


class Resolvers:
    """One resolver for each network and region that asks, since the answers depend on both."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._open: dict[tuple[str, str], asyncio.DatagramTransport] = {}

    async def address(self, network: str, region: str) -> str:
        """Where machines of a network and region ask, as HOST:PORT."""
        if (network, region) not in self._open:
            loop = asyncio.get_running_loop()
            made = await loop.create_datagram_endpoint(
                lambda: _Resolver(self._registry, network, region), local_addr=("127.0.0.1", 0)
            )
            self._open[network, region] = made[0]
        host, port = self._open[network, region].get_extra_info("sockname")
        return f"{host}:{port}"

    def all(self) -> dict[tuple[str, str], str]:
        """The resolvers there are, by network and region."""
        found = {key: each.get_extra_info("sockname") for key, each in self._open.items()}
        return {key: f"{host}:{port}" for key, (host, port) in found.items()}

    def close(self) -> None:
        """Answer no more."""
        for each in self._open.values():
            each.close()


class _Resolver(asyncio.DatagramProtocol):
    def __init__(self, registry: Registry, network: str, region: str) -> None:
        self._registry = registry
        self._network = network
        self._region = region
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        try:
            question = DNSRecord.parse(data)
        except DNSError:
            return
        if self._transport:
            self._transport.sendto(self._answer(question).pack(), addr)

    def _answer(self, question: DNSRecord) -> DNSRecord:
        name = str(question.q.qname).rstrip(".").lower()
        kind = question.q.qtype
        reply = question.reply()
        hosts = self._hosts()
        found = addresses(name, hosts, self._region)
        said = texts(name, hosts)
        if kind == QTYPE.A:
            records = [(QTYPE.A, A(each)) for each in found]
        else:
            records = [(QTYPE.TXT, TXT(each)) for each in said] if kind == QTYPE.TXT else []
        for number, data in records:
            reply.add_answer(RR(question.q.qname, number, ttl=_TTL, rdata=data))
        if not found and not said:
            reply.header.rcode = RCODE.NXDOMAIN
        return reply

    def _hosts(self) -> list[Host]:
        apps = {each.name for each in self._registry.apps.values() if each.network == self._network}
        return [
            Host(
                each.id,
                each.identity.app,
                each.identity.region,
                each.identity.address,
                each.state is State.STARTED,
                each.metadata,
            )
            for each in self._registry.machines.values()
            if each.identity.app in apps and not is_gone(each)
        ]
