"""Has the modules of an application loaded, and is forked for each tenant: `zygote.py SOCKET LEARNED ROOT`.

preload/ask.py has the protocol, and atc_modules.py which modules these are.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import os
import runpy
import select
import shutil
import signal
import socket
import struct
import sys
import time

from atc_modules import Learner, Modules, Stale

_SETTLED = 30.0  # seconds after a fork for which new names may be learned
_LOOK = 1.0  # seconds between looks for them, and for the end of supervisord
_ASKING = 1.0  # seconds within which somebody who connects has to ask
_F_SETSIG = 10
_CLONE_NEWNS = 0x00020000


class Refused(Exception):
    """There is no fork to be had."""


class Asked:
    """What a child is to run, and as whom."""

    def __init__(self, data: bytes, descriptors: list[int], peer: int) -> None:
        words = data.split(b"\0")
        if words[0] != b"1" or words[-1:] != [b""] or len(descriptors) != 5:
            raise Refused("the request is not understood")
        self.umask = int(words[1])
        self.namespace, self.directory = words[2].decode(), os.fsdecode(words[3])
        end = 5 + int(words[4])
        self.words = [os.fsdecode(each) for each in words[5:end]]
        self.environ = {name: value for name, _, value in (each.partition(b"=") for each in words[end:-1])}
        self.descriptors, self.peer = descriptors, peer


class Program:
    """A command of Python's, as the interpreter would find it."""

    def __init__(self, words: list[str], directory: str, path: str) -> None:
        self.module = self.script = ""
        first, rest = words[0], words[1:]
        if os.path.basename(first).startswith("python"):
            if rest[:1] == ["-m"] and len(rest) > 1:
                self.module, self.arguments = rest[1], rest[2:]
                return
            if not rest or rest[0].startswith("-"):
                raise Refused(f"options of {first} are not understood")
            first, rest = rest[0], rest[1:]
            found: str | None = os.path.join(directory, first)
        else:
            found = os.path.join(directory, first) if "/" in first else shutil.which(first, path=path)
        if not found or not os.path.isfile(found):
            raise Refused(f"there is no {first}")
        self.script, self.arguments = found, rest

    def run(self) -> None:
        """Be that program."""
        if self.module:
            sys.path.insert(0, os.getcwd())
            sys.argv = ["-m", *self.arguments]
            runpy.run_module(self.module, run_name="__main__", alter_sys=True)
        else:
            sys.path.insert(0, os.path.dirname(os.path.realpath(self.script)))
            sys.argv = [self.script, *self.arguments]
            runpy.run_path(self.script, run_name="__main__")


class Zygote:
    """Answers who asks, and tells how children ended."""

    def __init__(self, path: str, modules: Modules) -> None:
        self.modules = modules
        self.parent = os.getppid()
        self.outcomes: dict[int, int] = {}  # child -> where to tell how it ended
        self.learns_until = 0.0
        self.is_ending = False
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self.listener.bind(path)
        self.woken, wake = os.pipe()
        os.set_blocking(self.woken, False)
        os.set_blocking(wake, False)
        self.wake = wake
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._end)

    def _end(self, *_: object) -> None:
        self.is_ending = True

    def serve(self) -> tuple[Asked, Program] | None:
        """Fork whenever asked to; comes back in a child with what it is to run, and in a zygote that has to end."""
        poll = select.poll()
        poll.register(self.listener, select.POLLIN)
        poll.register(self.woken, select.POLLIN)
        waiting = self.modules.names()
        self._settle()
        self.listener.listen(1024)
        while not self.is_ending and os.getppid() == self.parent:
            ready = {file for file, _ in poll.poll(0 if waiting else _LOOK * 1000)}
            if self.woken in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self.woken, 4096)
            self._reap()
            if self.listener.fileno() in ready:
                found = self._answer()
                if found:
                    return found
            elif waiting:
                try:
                    self.modules.load(waiting.pop(0))
                except Stale:  # begin anew without it, unless somebody is to be told how a child of this one ends
                    if not self.outcomes:
                        os.execv(sys.executable, [sys.executable, *sys.argv])
                    return None
                if not waiting:
                    self._settle()
            elif time.monotonic() < self.learns_until:
                waiting = self.modules.names()
        return None

    def _settle(self) -> None:
        """Make what is loaded pages that nobody writes to."""
        gc.collect()
        gc.freeze()

    def _reap(self) -> None:
        while self.outcomes:
            try:
                child, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not child:
                return
            outcome = self.outcomes.pop(child, None)
            if outcome is None:
                continue
            killed = os.WIFSIGNALED(status)
            said = f"killed {os.WTERMSIG(status)}\n" if killed else f"exited {os.WEXITSTATUS(status)}\n"
            with contextlib.suppress(OSError):
                os.write(outcome, said.encode())
            os.close(outcome)

    def _answer(self) -> tuple[Asked, Program] | None:
        connection, _ = self.listener.accept()
        descriptors: list[int] = []
        try:
            connection.settimeout(_ASKING)
            asked = _read(connection, descriptors)
            program = Program(asked.words, asked.directory, os.fsdecode(asked.environ.get(b"PATH", b"")))
            self.modules.check()
            child = os.fork()
            if child == 0:
                self._leave()
                _become(asked, connection)
                return asked, program
            self.outcomes[child] = os.dup(asked.descriptors[3])
            self.learns_until = time.monotonic() + _SETTLED
        except (OSError, ValueError, IndexError, Refused, Stale) as problem:
            if isinstance(problem, Stale):
                print(f"atc: {problem}, so that everything is loaded anew", flush=True)
                self.is_ending = True
            with contextlib.suppress(OSError):
                connection.sendall(f"! {problem}".encode())
        finally:
            for each in descriptors if os.getpid() == _ME else ():
                os.close(each)
            if os.getpid() == _ME:
                connection.close()
        return None

    def _leave(self) -> None:
        """In a child: nothing of the zygote is left open."""
        signal.set_wakeup_fd(-1)
        for each in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)
        for file in (self.woken, self.wake, *self.outcomes.values()):
            os.close(file)
        self.listener.close()
        self.outcomes.clear()


def _read(connection: socket.socket, descriptors: list[int]) -> Asked:
    peer, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid not in (0, os.geteuid()):
        raise Refused("another unix user asks")
    data, rights, _, _ = connection.recvmsg(65_536, socket.CMSG_LEN(5 * 4))
    for _, _, packed in rights:
        descriptors += struct.unpack(f"{len(packed) // 4}i", packed)
    for each in descriptors:
        os.set_inheritable(each, False)
    while len(data) < 8 or len(data) < 8 + int(data[:8], 16):
        more = connection.recv(1 << 20)
        if not more:
            raise Refused("the request is cut off")
        data += more
    return Asked(data[8:], descriptors, peer)


def _become(asked: Asked, connection: socket.socket) -> None:
    """In a child: be where who asked is, and wait for its word; ends when that does not come."""
    try:
        os.setpgid(0, os.getpgid(asked.peer))
        if os.readlink("/proc/self/ns/mnt") != asked.namespace:
            _enter(asked.peer)
        connection.sendall(b"%d" % os.getpid())
        connection.settimeout(None)
        if connection.recv(1) != b"+":
            os._exit(0)
        connection.close()
        _end_with(asked.descriptors[4])
        for number in range(3):
            os.dup2(asked.descriptors[number], number)
            os.close(asked.descriptors[number])
        os.chdir(asked.directory)
        os.umask(asked.umask)
    except OSError as problem:
        with contextlib.suppress(OSError):
            connection.sendall(f"! {problem}".encode())
        os._exit(1)
    os.environb.clear()
    os.environb.update(asked.environ)
    time.tzset()


def _end_with(life: int) -> None:
    """Have the kernel kill this process group once the other end of a pipe is closed, whoever is there to notice."""
    fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(life, _F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
    poll = select.poll()
    poll.register(life, select.POLLIN)
    if poll.poll(0):
        os._exit(1)


def _enter(peer: int) -> None:
    namespace = os.open(f"/proc/{peer}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "the mount namespace cannot be entered")
    os.close(namespace)


_ME = os.getpid()

if __name__ == "__main__":
    if sys.path[:1] == [os.path.dirname(os.path.abspath(__file__))]:
        del sys.path[0]
    gc.disable()
    zygote = Zygote(sys.argv[1], Modules(sys.argv[2], sys.argv[3]))
    found = zygote.serve()
    if found:
        sys.meta_path.insert(0, Learner(zygote.modules))
        gc.enable()
        found[1].run()
