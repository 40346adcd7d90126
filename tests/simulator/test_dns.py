"""Item 33: names of the private network, over UDP."""

from __future__ import annotations

import socket

from dnslib import QTYPE, RCODE, DNSRecord

from simulator.description import AppSpec
from tests.simulator.fleets import ROUTER, SPARE, TARGET, fleet, machine


def lookup(server: tuple[str, int], name: str, kind: str = "A") -> tuple[str, list[str]]:
    """The code of an answer and its records."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        sock.sendto(DNSRecord.question(name, kind).pack(), server)
        reply = DNSRecord.parse(sock.recv(4096))
        return RCODE[reply.header.rcode], [str(each.rdata) for each in reply.rr if QTYPE[each.rtype] == kind]


def test_item_33_only_machines_that_are_started_have_a_name() -> None:
    """A lookup wakes nobody."""
    with fleet(machine("target", TARGET), machine("target", SPARE, "ams")) as fly:
        server = fly.resolver()
        addresses = [fly.machine(each).identity.address for each in (TARGET, SPARE)]
        assert lookup(server, f"{TARGET}.vm.target.internal") == ("NOERROR", addresses[:1])
        assert lookup(server, "target.internal")[1] == addresses
        assert lookup(server, "ams.target.internal")[1] == addresses[1:]
        assert lookup(server, f"{TARGET}.vm.target.internal", "AAAA") == ("NOERROR", [])
        assert lookup(server, "vms.target.internal", "TXT") == ("NOERROR", [f'"{TARGET} iad,{SPARE} ams"'])
        for change, again in ((fly.suspend, fly.start), (fly.stop, fly.start)):
            change(TARGET)
            assert lookup(server, f"{TARGET}.vm.target.internal") == ("NXDOMAIN", [])
            assert lookup(server, "target.internal")[1] == addresses[1:]
            again(TARGET)
            assert lookup(server, f"{TARGET}.vm.target.internal")[1] == addresses[:1]


def test_item_33_the_nearest_is_near_to_who_asks() -> None:
    """Each machine has a resolver of its region."""
    with fleet(machine("target", TARGET), machine("target", SPARE, "ams")) as fly:
        for region, expected in (("iad", TARGET), ("ams", SPARE)):
            found = lookup(fly.resolver(region=region), "top1.nearest.of.target.internal")[1]
            assert found == [fly.machine(expected).identity.address]


def test_item_33_networks_do_not_see_each_other() -> None:
    """A name of another network does not exist."""
    apps = [AppSpec(name="router"), AppSpec(name="target", network="own", public=False)]
    with fleet(machine("router", ROUTER), machine("target", TARGET), apps=apps) as fly:
        assert lookup(fly.resolver(), "target.internal")[0] == "NXDOMAIN"
        assert len(lookup(fly.resolver("own"), "target.internal")[1]) == 1
