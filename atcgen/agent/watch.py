"""Notice edits of atc.yml: by editors that rename, through symlinks, by mounts that swap a directory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

SETTLE = 0.05  # seconds without a further event
_READS = frozenset({"opened", "closed_no_write"})


class _Handler(FileSystemEventHandler):
    """Calls once a burst of events has settled."""

    def __init__(self, names: frozenset[str], loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
        self._names = names
        self._loop = loop
        self._call = call
        self._timer: asyncio.TimerHandle | None = None

    def on_any_event(self, event: FileSystemEvent) -> None:
        touched = {Path(str(each)).name for each in (event.src_path, event.dest_path) if each}
        if event.event_type not in _READS and touched & self._names:
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(SETTLE, self._call)


def watch(file: Path, call: Callable[[], object]) -> BaseObserver:
    """Call whenever the file may have changed, also when what it points to did."""
    target = file.resolve()
    # Kubernetes mounts a ConfigMap as file -> ..data/file and swaps the symlink ..data.
    handler = _Handler(frozenset({file.name, target.name, "..data"}), asyncio.get_running_loop(), call)
    observer = Observer()
    for directory in {file.parent, target.parent}:
        observer.schedule(handler, str(directory))
    observer.start()
    return observer
