"""The end: nginx finishes what it has, then all tenants stop at once, within the time the platform gives.

supervisord alone would stop one program after the other. While it shuts down it takes no orders, so the agent signals
the processes itself; supervisord finds them gone and ends as soon as the last one is.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from atcgen.agent.service import Service
from atcgen.system.processes import runs

if TYPE_CHECKING:
    from atcgen.replica.custodian import Custodian

log = logging.getLogger("atc.agent")

# supervisord looks at its signals and its children once a second: at the beginning and at the end.
_SUPERVISORD = 2.0
# Shares of the rest after which the next step is taken.
_FOR_NGINX = 0.4
_FOR_TENANTS = 0.9
# The same where databases are copied in the end.
_FOR_NGINX_BEFORE_COPIES = 0.25
_FOR_TENANTS_BEFORE_COPIES = 0.5


async def shut_down(service: Service) -> None:
    """End nginx and every tenant; what does not end in time is killed."""
    service.is_ending = True
    begin, budget = service.clock(), max(1.0, service.plan.server.kill_timeout - _SUPERVISORD)
    log.info("shutdown.begins tenants=%d", sum(bool(each.pids) for each in service.keepers.values()))
    nginx = service.own_pids.get(("atc-nginx", "atc-nginx"), 0)
    _signal([nginx], signal.SIGQUIT)
    copies = [each.custodian for each in service.keepers.values() if each.custodian]
    for_nginx = _FOR_NGINX_BEFORE_COPIES if copies else _FOR_NGINX
    for_tenants = _FOR_TENANTS_BEFORE_COPIES if copies else _FOR_TENANTS
    if not await _gone(service, [nginx], begin + budget * for_nginx):
        _signal([nginx], signal.SIGTERM)
    for keeper in service.keepers.values():
        keeper.release(admitted=False)
        _signal(keeper.pids.values(), getattr(signal, f"SIG{keeper.plan.stop_signal}"))
    tenants = [pid for each in service.keepers.values() for pid in each.pids.values()]
    if not await _gone(service, tenants, begin + budget * for_tenants):
        late = {pid for pid in tenants if runs(pid)}
        _signal(late, signal.SIGKILL)
        for keeper in service.keepers.values():
            if keeper.custodian and late & set(keeper.pids.values()):
                keeper.custodian.suspect()
        await _gone(service, tenants, begin + budget)
    left = begin + budget - service.clock()
    await asyncio.gather(_settle(copies, left), _run_stop_hooks(service, left))
    log.info("shutdown.ends seconds=%.2f", service.clock() - begin)


async def _run_stop_hooks(service: Service, within: float) -> None:
    """Those of the tenants that were up, and those of the machine, all at once; what is not done in time is killed."""
    hooks = service.hooks
    works = [hooks.tenant(each.plan, "stop") for each in service.keepers.values() if each.is_up]
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.5, within)):
            await asyncio.gather(*works, hooks.server("stop"))


async def _settle(custodians: list[Custodian], within: float) -> None:
    """Copy the last of every tenant at once. What does not get there in time is still here, and is known to be."""
    works = [asyncio.ensure_future(each.settle(within, whoever_wants=True)) for each in custodians]
    if works:
        await asyncio.wait(works, timeout=max(0.5, within))
    for custodian, work in zip(custodians, works, strict=True):
        problem = None if not work.done() or work.cancelled() else work.exception()
        if problem or not work.done():
            log.error("replica.not_settled tenant=%s reason=%r", custodian.plan.id, str(problem or "out of time"))
        work.cancel()
        if custodian.copies.attached:
            _signal([custodian.copies.attached.pid], signal.SIGTERM)


def dismiss_the_rest(service: Service) -> None:
    """End what is left of atc's own processes but the agent, so that supervisord waits for nobody."""
    others = [pid for pid in (*service.own_pids.values(), *service.zygotes.pids()) if pid != os.getpid()]
    _signal(others, signal.SIGTERM)


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        if pid > 1:
            with suppress(OSError):
                os.killpg(pid, number)  # supervisord makes every program the leader of a group


async def _gone(service: Service, pids: list[int], deadline: float) -> bool:
    while any(runs(each) for each in pids):
        if service.clock() >= deadline:
            return False
        await asyncio.sleep(0.01)
    return True
