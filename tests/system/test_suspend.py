"""A machine that stands still for longer than its leases last."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from atcgen.system.pauses import notice_pauses
from tests.system.machine import Machine
from tests.system.machines import Settings, world
from tests.system.running import wait_until
from tests.system.writer import Writer

pytestmark = pytest.mark.system
LEASE = 3.0


@contextmanager
def suspended(machine: Machine) -> Iterator[None]:
    """It stands still."""
    machine.suspend()
    try:
        yield
    finally:
        machine.resume()


def test_who_lost_the_lease_meanwhile_answers_nothing_from_its_old_databases() -> None:
    with world(Settings(lease="3s")) as made:
        a, b = made.a.start(), made.b.start()
        a.wake()
        with Writer(a) as writer:
            writer.wait_for(5)
            made.wait_until_published()
            writer.stop()
            old = a.pid()
            with suspended(a):
                b.wake()
                assert b.add(100_000)
            wait_until(lambda: a.log_has("lease.in_doubt") == 1)
            assert not a.add(200_000)
            wait_until(lambda: a.log_has("lease.lost") == 1)
            wait_until(lambda: a.pid() != old)
            assert 100_000 in b.rows()["rows"]


def test_who_still_has_it_goes_on() -> None:
    with world(Settings(lease="3s")) as made:
        a = made.a.start()
        a.wake()
        made.wait_until_published()
        old = a.pid()
        with suspended(a):
            begun = time.monotonic()
            wait_until(lambda: time.monotonic() > begun + LEASE)
        assert a.add(1)
        assert a.pid() == old
        assert a.log_has("lease.in_doubt") == 1
        assert a.log_has("lease.lost") == 0


def test_who_is_continued_knows_that_time_may_have_passed() -> None:
    async def run() -> None:
        noticed = asyncio.Event()
        notice_pauses(noticed.set)
        os.kill(os.getpid(), signal.SIGCONT)
        async with asyncio.timeout(10):
            await noticed.wait()

    asyncio.run(run())
