"""Background tasks that are kept from being forgotten, and whose crash is reported."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from atcgen.errors import AtcError

log = logging.getLogger("atc.agent")


class Once:
    """Calls something once: when it is called first, or at the end of the block."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def __call__(self) -> None:
        call, self._call = self._call, None
        if call:
            call()

    def __enter__(self) -> Once:
        return self

    def __exit__(self, *_: object) -> None:
        self()


class Tasks:
    """The tasks of one service."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run in the background."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        problem = None if task.cancelled() else task.exception()
        if isinstance(problem, AtcError):
            log.error("a task gave up: %s", problem)
        elif problem:
            log.error("a task crashed", exc_info=problem)
