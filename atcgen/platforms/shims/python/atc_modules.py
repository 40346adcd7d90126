"""Which modules a zygote has loaded, and which there are to load.

Loaded is what others wrote: modules that an earlier child needed and that are not below the application's root, but in
a place for packages. Their names are in a file, in the order of their import. What would not survive a fork is left
out: a module that starts a thread or opens a socket, and everything where gevent or eventlet would have to come first.

Before each fork the files of all modules are looked at: where one has changed, there is no fork.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
from typing import Any

_PATCHING = frozenset({"gevent", "eventlet"})
_UNLOADABLE = "-"  # before a name in the file


class Stale(Exception):
    """What is loaded is not what there is any more."""


class Modules:
    """The modules that are loaded, and which ones there are to load."""

    def __init__(self, learned: str, root: str) -> None:
        self.learned, self.root = learned, root
        self.real_root = os.path.realpath(root)
        self.seen: dict[str, None] = {}
        self.stamps: dict[str, tuple[int, int]] = {}
        self._stamped = 0

    def names(self) -> list[str]:
        """What was learned and has not been looked at."""
        try:
            with open(self.learned, encoding="utf-8") as text:
                said = text.read().split()
        except OSError:
            return []
        left_out = {each[1:] for each in said if each.startswith(_UNLOADABLE)}
        wanted = [each for each in dict.fromkeys(said) if each not in left_out and not each.startswith(_UNLOADABLE)]
        if _PATCHING & {each.partition(".")[0] for each in said}:
            wanted = []
        return [each for each in wanted if each not in self.seen]

    def load(self, name: str) -> None:
        """Import a module of others, or remember that it is not one."""
        self.seen[name] = None
        before = _threads(), _sockets()
        try:
            if name in sys.modules or not self._is_of_others(name):
                return
            importlib.import_module(name)
        except ModuleNotFoundError:  # the application's own, which are not to be found here, or optional ones
            pass
        except BaseException as problem:
            print(f"atc: {name} is not preloaded: {problem!r}", flush=True)
        if (_threads(), _sockets()) != before:
            print(f"atc: {name} is not preloaded: it starts a thread or opens a socket", flush=True)
            self.note(f"{_UNLOADABLE}{name}")
            raise Stale(f"{name} is loaded and must not be")

    def _is_of_others(self, name: str) -> bool:
        above = name.rpartition(".")[0]
        if above and not self._is_of_others(above):  # looking for a module runs the package that it is in
            return False
        spec = importlib.util.find_spec(name)
        if spec is None:
            return False
        places = [spec.origin] if spec.has_location and spec.origin else list(spec.submodule_search_locations or [])
        return all(self._is_package_place(os.path.realpath(each)) for each in places)

    def _is_package_place(self, path: str) -> bool:
        inside = path.startswith(os.path.realpath(self.root) + os.sep)
        return not inside or any(f"/{each}/" in path for each in ("site-packages", "dist-packages"))

    def note(self, name: str) -> None:
        """Add a name to what was learned; one write, which does not mix with others'."""
        with contextlib.suppress(OSError), open(self.learned, "ab", buffering=0) as file:
            file.write(f"{name}\n".encode())

    def check(self) -> None:
        """Raise `Stale` when a file of what is loaded is another one by now, or the application's directory."""
        if self._stamped != len(sys.modules):
            self._stamped = len(sys.modules)
            for module in list(sys.modules.values()):
                file = getattr(module, "__file__", None)
                if file and file not in self.stamps:
                    self.stamps[file] = _identity(file)
        if os.path.realpath(self.root) != self.real_root:
            raise Stale(f"{self.root} is another directory")
        for file, stamp in self.stamps.items():
            if _identity(file) != stamp:
                raise Stale(f"{file} has changed")


class Learner:
    """Notes which modules a child imports that its zygote has not looked at; finds none itself."""

    def __init__(self, modules: Modules) -> None:
        self._modules = modules

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Called by the interpreter for each module that is not loaded yet."""
        if name not in self._modules.seen:
            self._modules.seen[name] = None
            self._modules.note(name)


def _identity(file: str) -> tuple[int, int]:
    try:
        found = os.stat(file)
    except OSError:
        return 0, 0
    return found.st_ino, found.st_mtime_ns


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _sockets() -> int:
    found = 0
    for each in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found += os.readlink(f"/proc/self/fd/{each}").startswith("socket:")
    return found
