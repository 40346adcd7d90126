"""The agent's process: `python -m atcgen.agent CURRENT`, its socket on standard input, started by supervisord."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from atcgen.agent import observe
from atcgen.agent.apply import Applier
from atcgen.agent.control import control, control_socket
from atcgen.agent.converge import Converger
from atcgen.agent.door import Door
from atcgen.agent.events import follow_events
from atcgen.agent.http import serve
from atcgen.agent.machine_keeper import Check, MachineKeeper
from atcgen.agent.rouse import Rouser
from atcgen.agent.service import Service
from atcgen.agent.shutdown import dismiss_the_rest, shut_down
from atcgen.agent.watch import watch
from atcgen.compiler.plan import load
from atcgen.system.pauses import notice_pauses
from atcgen.system.processes import started
from atcgen.system.supervisor import Supervisor

if TYPE_CHECKING:
    from atcgen.replica.site import Vault

log = logging.getLogger("atc.agent")

_FOR_THE_STORE = 5.0  # seconds; a store that does not answer by then keeps nobody waiting


async def run(current: Path) -> None:
    """Serve until told to end: alone, or together with everything else."""
    plan = load((current / "plan.json").read_text(encoding="utf-8"))
    service = Service(plan, Supervisor(plan.paths.supervisor_socket), environ=os.environ)
    done, ending = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, done.set)

    def happened(name: str, fields: dict[str, str]) -> None:
        if name == "SUPERVISOR_STATE_CHANGE_STOPPING":
            ending.set()
        else:
            observe.process_event(service, name, fields)

    follow_events(plan.paths.events, happened)
    await observe.resume(service)
    applier = Applier(service)
    converger = Converger(applier, os.environ)
    machine = _machine(service, converger)
    rouser = Rouser(plan.fleet, plan.server.health_check_path, service.tasks)
    entrance = await serve(socket.socket(fileno=0), Door(service, applier, converger, rouser, machine).answer)
    desk = await serve(
        control_socket(plan.paths.control_socket),
        lambda request: control(service, applier, converger, machine, request),
    )
    _begin(service, machine, converger, done)

    async def apply() -> None:
        with machine.at_work("atc.yml is applied"):
            await applier.apply()
            converger.look_at_the_file()

    observer = watch(Path(plan.base) / Path(plan.file).name, lambda: service.tasks.start(apply()))
    service.tasks.start(apply())  # what was edited while no agent watched
    log.info("agent.ready tenants=%d", len(service.keepers))
    await _first(done, ending)
    observer.stop()
    if ending.is_set():
        await asyncio.gather(shut_down(service), converger.asleep())
    entrance.close()
    desk.close()
    if ending.is_set():
        dismiss_the_rest(service)


def _machine(service: Service, converger: Converger) -> MachineKeeper:
    """The machine, which asks for a newer atc.yml before it serves anybody after a sleep."""
    machine = MachineKeeper(service)

    async def look_at_the_store() -> None:
        converger.awake()
        await converger.converged(_FOR_THE_STORE)

    machine.checks.append(Check("atc.yml", look_at_the_store, _FOR_THE_STORE + 1))
    machine.partings.append(converger.asleep)
    machine.begin()
    return machine


def _begin(service: Service, machine: MachineKeeper, converger: Converger, done: asyncio.Event) -> None:
    """What goes on beside the answers."""
    start = service.tasks.start
    start(observe.watch_idleness(service))
    start(machine.watch())
    start(converger.keep_asking())
    start(_run_ready_hooks(machine))
    start(_notice_the_end_of_supervisord(done))
    if service.site:
        start(observe.watch_copies(service))
        start(_keep_drilling(machine, service.site))

    def time_has_passed() -> None:
        machine.resumed()
        converger.time_has_passed()

    notice_pauses(time_has_passed)


async def _run_ready_hooks(machine: MachineKeeper) -> None:
    service = machine.service
    if _is_first(Path(service.plan.paths.began)):
        with machine.at_work("hooks run"):
            await service.hooks.server("ready")


def _is_first(began: Path) -> bool:
    """Is this the first agent since atc was started? One that was started again has the same parent."""
    parent = started(os.getppid())
    if began.exists() and began.read_text(encoding="ascii") == parent:
        return False
    began.write_text(parent, encoding="ascii")
    return True


async def _keep_drilling(machine: MachineKeeper, vault: Vault) -> None:
    from atcgen.replica.drill import keep_drilling  # noqa: PLC0415 - only those who copy need it

    service = machine.service
    paths = service.plan.paths
    await keep_drilling(
        vault,
        lambda: [each.custodian for each in service.keepers.values() if each.custodian],
        Path(paths.drill),
        Path(paths.tmp),
        lambda: machine.at_work("a restore on trial is under way"),
    )


async def _notice_the_end_of_supervisord(done: asyncio.Event) -> None:
    """An agent whose supervisord was killed can do nothing, and must not stand in the way of the next one."""
    parent = os.getppid()
    while not done.is_set():
        await asyncio.sleep(1)
        if os.getppid() != parent:
            done.set()


async def _first(*events: asyncio.Event) -> None:
    waiting = [asyncio.ensure_future(each.wait()) for each in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    asyncio.run(run(Path(sys.argv[1])))
