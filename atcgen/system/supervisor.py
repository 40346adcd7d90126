"""supervisord, over XML-RPC on its unix socket. Blocking; the agent calls it in a thread."""

from __future__ import annotations

import http.client
import xmlrpc.client
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from atcgen.errors import ApplyError, Unavailable
from atcgen.system.unix_http import UnixConnection

# Faults of supervisor.xmlrpc, which would cost the agent four megabytes to import.
_BAD_NAME = 10
_ALREADY_STARTED = 60
_NOT_RUNNING = 70
_ALREADY_ADDED = 90


@dataclass(frozen=True)
class Process:
    """A process of supervisord: `group:name`."""

    group: str
    name: str
    pid: int
    exit_status: int = 0  # of the last one that ended; -1 when a signal ended it

    @property
    def is_up(self) -> bool:
        """Does it have a process of the system?"""
        return self.pid > 0


class _Transport(xmlrpc.client.Transport):
    """XML-RPC over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: object) -> http.client.HTTPConnection:
        return UnixConnection(self._path)


class Supervisor:
    """A connection per call: none is kept that could break."""

    def __init__(self, socket: str) -> None:
        self._socket = socket

    def _call(self, method: str, *arguments: Any) -> Any:
        with xmlrpc.client.ServerProxy("http://supervisord", transport=_Transport(self._socket)) as proxy:
            try:
                return getattr(proxy.supervisor, method)(*arguments)
            except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as problem:
                raise Unavailable(f"supervisord does not answer: {problem}") from None

    def start(self, group: str, slot: int) -> None:
        """Spawn a process; nothing happens when it is up already."""
        self._ignoring(_ALREADY_STARTED, "startProcess", f"{group}:{slot}", False)

    def stop(self, group: str, slot: int) -> None:
        """Signal a process to end, and kill it later if it does not; nothing happens when it is down."""
        self._ignoring(_NOT_RUNNING, "stopProcess", f"{group}:{slot}", False)

    def _ignoring(self, fault: int, method: str, *arguments: Any) -> None:
        try:
            self._call(method, *arguments)
        except xmlrpc.client.Fault as problem:
            if problem.faultCode != fault:
                raise Unavailable(f"supervisord refused {method}: {problem.faultString}") from None

    def processes(self) -> list[Process]:
        """Every process there is."""
        return [Process(each["group"], each["name"], each["pid"]) for each in self._call("getAllProcessInfo")]

    def process(self, group: str, slot: int) -> Process:
        """One process."""
        each = self._call("getProcessInfo", f"{group}:{slot}")
        return Process(each["group"], each["name"], each["pid"], each["exitstatus"])

    def reload(self) -> tuple[list[str], list[str], list[str]]:
        """Read the configuration anew; the groups added, changed and removed, none of which is touched yet."""
        try:
            added, changed, removed = self._call("reloadConfig")[0]
        except xmlrpc.client.Fault as problem:
            raise ApplyError(f"supervisord did not read its configuration: {problem.faultString}") from None
        return added, changed, removed

    def poke(self) -> None:
        """Make supervisord look at its children now."""
        with suppress(Unavailable, xmlrpc.client.Fault):
            self._call("getState")

    def shut_down(self) -> None:
        """End supervisord and all it runs, as SIGTERM does."""
        self._call("shutdown")

    def add(self, group: str) -> None:
        """Take a group from the configuration."""
        self._ignoring(_ALREADY_ADDED, "addProcessGroup", group)

    def remove(self, group: str) -> None:
        """Forget a group whose processes are down."""
        self._ignoring(_BAD_NAME, "removeProcessGroup", group)
