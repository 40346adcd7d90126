"""The agent's process: `python -m atcgen.agent CURRENT`, its socket on standard input, started by supervisord."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from atcgen.agent.apply import Applier
from atcgen.agent.http import Answer, Request, as_json, serve
from atcgen.agent.service import Service
from atcgen.agent.watch import watch
from atcgen.compiler.plan import load
from atcgen.system.supervisor import Supervisor

log = logging.getLogger("atc.agent")


async def run(current: Path) -> None:
    """Serve until told to end."""
    plan = load((current / "plan.json").read_text(encoding="utf-8"))
    service = Service(plan, Supervisor(plan.paths.supervisor_socket))
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, done.set)
    loop.add_signal_handler(signal.SIGINT, done.set)
    _listen_to_events(plan.paths.events_socket, service)
    await service.resume()
    applier = Applier(service)
    door = await serve(socket.socket(fileno=0), lambda request: _wake(service, request))
    control = await serve(
        _control_socket(plan.paths.control_socket), lambda request: _control(service, applier, request)
    )
    service.tasks.start(service.watch_idleness())
    observer = watch(Path(plan.base) / Path(plan.file).name, lambda: service.tasks.start(applier.apply()))
    service.tasks.start(applier.apply())  # what was edited while no agent watched
    log.info("agent.ready tenants=%d", len(service.keepers))
    await done.wait()
    observer.stop()
    door.close()
    control.close()


async def _wake(service: Service, request: Request) -> Answer:
    verdict, retry = await service.admit(request.headers.get("x-atc-tenant", ""))
    if verdict == "ready":
        return Answer(204)
    return Answer(403, {"X-Atc-Verdict": verdict, "X-Atc-Retry-After": str(max(1, round(retry)))})


async def _control(service: Service, applier: Applier, request: Request) -> Answer:
    if request.method == "GET" and request.target == "/status":
        tenants = [
            {"id": each.plan.id, "state": each.tenant.state.value, "reason": each.tenant.reason}
            for each in service.keepers.values()
        ]
        return as_json(200, {"tenants": tenants, "problem": applier.problem})
    return as_json(404, {"error": "no such thing"})


def _control_socket(path: str) -> socket.socket:
    with suppress(FileNotFoundError):
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    os.chmod(path, 0o600)
    sock.listen()
    return sock


def _listen_to_events(path: str, service: Service) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.bind(path)

    def readable() -> None:
        with suppress(BlockingIOError):
            while True:
                name, _, payload = sock.recv(65_536).decode(errors="replace").partition(" ")
                fields = dict(each.partition(":")[::2] for each in payload.split())
                service.process_event(name, fields)

    asyncio.get_running_loop().add_reader(sock.fileno(), readable)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    asyncio.run(run(Path(sys.argv[1])))
