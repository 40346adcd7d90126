"""Asks a zygote for a process, and becomes the small one that stands for it: `ask.py SOCKET COMMAND...`.

Run by launch.sh with `python -I -S`, so that it starts within milliseconds. Where there is no process to be had, for
whatever reason, COMMAND is started in the ordinary way.

The protocol, over a unix socket of the zygote, which belongs to the same unix user:

1. Asked are a length, in eight hexadecimal digits, and so many bytes of strings, each ended by a NUL: `1`, the umask in
   decimal, the mount namespace as in /proc/self/ns/mnt, the working directory, the number of words, the words, and the
   environment as NAME=VALUE. The first byte carries five file descriptors: 0, 1, 2, the end of a pipe to write the
   outcome to, and the reading end of a pipe that nothing is ever written to: it ends when this process does.
2. The zygote forks. The child joins the process group of who asked, so that every signal to that group reaches it too;
   enters the mount namespace if it is another one; and says its process id. When there is no child, `!` and a reason is
   said instead.
3. This process gives the child its limits and its place among those who want the processor, and says `+`. A child that
   hears nothing ends. One that hears it has the kernel send SIGKILL to the group once the second pipe ends, takes the
   descriptors, the directory and the environment, and runs the words.
4. The child ends, and the zygote writes how to the first pipe: `exited STATUS` or `killed SIGNAL`, and a newline. The
   child keeps that pipe open too: when the zygote has died, its end is the end of the child.

From 3 on this process is wait.sh, with the pipes as 3 and 4, and with all signals ignored that ask a group to end.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import sys
from _socket import AF_UNIX, SCM_RIGHTS, SOCK_STREAM, SOL_SOCKET, socket

PATIENCE = 2.0  # seconds; the ordinary start takes not much longer
_PASSED = ("TERM", "INT", "QUIT", "HUP", "USR1", "USR2")  # app.stop_signal
_LIMITS = [getattr(resource, each) for each in dir(resource) if each.startswith("RLIMIT_")]


class Refused(Exception):
    """There is no process to be had."""


def ask(path: str, words: list[str]) -> None:
    """Become the process that stands for the one that runs the words; returns when there is none to be had."""
    outcome, outcome_end = os.pipe()
    life_end, life = os.pipe()
    try:
        connection = socket(AF_UNIX, SOCK_STREAM)
        connection.settimeout(PATIENCE)
        connection.connect(path)
        send(connection, words, (0, 1, 2, outcome_end, life_end))
        child = told(connection)
        like_me(child)
        for each in _PASSED:
            signal.signal(getattr(signal, f"SIG{each}"), signal.SIG_IGN)
        connection.sendall(b"+")
    except (OSError, Refused) as problem:
        for end in (outcome, outcome_end, life_end, life):
            os.close(end)
        for each in _PASSED:
            signal.signal(getattr(signal, f"SIG{each}"), signal.SIG_DFL)
        print(f"atc: started without preloading: {problem}", file=sys.stderr, flush=True)
        return
    connection.close()
    here = os.path.abspath(__file__)
    keep(outcome, 3, life, 4)
    os.execv("/bin/sh", ["sh", f"{os.path.dirname(here)}/wait.sh", str(child), sys.executable, here])


def send(connection: socket, words: list[str], descriptors: tuple[int, ...]) -> None:
    """Ask for a process that runs the words as this one would."""
    mask = os.umask(0o77)
    os.umask(mask)
    namespace = os.readlink("/proc/self/ns/mnt")
    said = ["1", str(mask), namespace, os.getcwd(), str(len(words)), *words]
    data = b"".join(each + b"\0" for each in map(os.fsencode, said)) + given_environment()
    rights = b"".join(each.to_bytes(4, sys.byteorder) for each in descriptors)
    data = b"%08x" % len(data) + data
    sent = connection.sendmsg([data[:1]], [(SOL_SOCKET, SCM_RIGHTS, rights)])
    connection.sendall(data[sent:])


def given_environment() -> bytes:
    """The environment as it was given: Python itself may have added LC_CTYPE."""
    with open("/proc/self/environ", "rb") as environ:
        return environ.read()


def told(connection: socket) -> int:
    """The process id of the child."""
    said = connection.recv(400).decode(errors="replace").strip()
    if not said.isdecimal():
        raise Refused(said.lstrip("! ") or "the zygote ended")
    return int(said)


def like_me(child: int) -> None:
    """Give the child what a process inherits from its parent and nobody can say in an environment."""
    for each in _LIMITS:
        limit = resource.getrlimit(each)
        if resource.prlimit(child, each) != limit:
            resource.prlimit(child, each, limit)
    os.setpriority(os.PRIO_PROCESS, child, os.getpriority(os.PRIO_PROCESS, 0))
    policy = os.sched_getscheduler(0)
    if policy != os.sched_getscheduler(child):
        os.sched_setscheduler(child, policy, os.sched_getparam(0))
    for kind in ("net", "pid", "user"):
        if os.readlink(f"/proc/self/ns/{kind}") != os.readlink(f"/proc/{child}/ns/{kind}"):
            raise Refused(f"the zygote is in another {kind} namespace")
    group = control_group("self")
    if group != control_group(str(child)):
        with open(f"/sys/fs/cgroup{group}/cgroup.procs", "w", encoding="ascii") as processes:
            processes.write(str(child))


def control_group(process: str) -> str:
    """The control group of a process, where there are those of version 2."""
    with open(f"/proc/{process}/cgroup", encoding="utf-8") as text:
        return "".join(line[3:].rstrip() for line in text if line.startswith("0::"))


def keep(*pairs: int) -> None:
    """Have descriptors under other numbers, in the program that is run next: the first as the second, and so on."""
    high = [fcntl.fcntl(each, fcntl.F_DUPFD, 10) for each in pairs[::2]]
    for each, number in zip(high, pairs[1::2]):  # noqa: B905 - older Pythons have no `strict`
        os.dup2(each, number)
        os.close(each)
    for each in pairs[::2]:
        if each not in pairs[1::2]:
            os.close(each)


def end_by(number: int) -> None:
    """End by a signal, as the child did, and leave no core of our own."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    if sys.argv[1] == "--end-by":
        end_by(int(sys.argv[2]))
    else:
        ask(sys.argv[1], sys.argv[2:])
        given = (each.partition(b"=")[::2] for each in given_environment().split(b"\0") if each)
        os.execvpe(sys.argv[2], sys.argv[2:], dict(given))
