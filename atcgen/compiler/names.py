"""Names derived from paths: one that files, nginx's upstreams and supervisord's programs can all carry."""

from __future__ import annotations

import hashlib
import posixpath

ROOT = "_root"
REPLICA = "replica+"  # begins the name of the program that copies a tenant's databases; no tenant's name has a '+'
ZYGOTE = "zygote+"  # begins the name of the program that is forked to wake tenants
BUILD = "build+"  # the same of a program that builds a release
LONGEST_PROGRAM = 200  # a file's name holds 255 bytes, and logs append to it
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")

# What a unix socket's path may hold, less the byte that ends it (`man 7 unix`).
SOCKET_PATH_LIMIT = 107
_LONGEST_TAIL = len("/0.sock")
_DIGEST_LENGTH = 10


def program_name(path: str) -> str:
    """The name of the tenant at a path without outer slashes: `2025/Winter` is `2025._57inter`.

    Different paths have different names, also where upper and lower case are the same (nginx's upstreams, some file
    systems): everything but a-z, 0-9 and '-' is spelt as '_' and two hexadecimal digits per byte.
    """
    if not path:
        return ROOT
    return ".".join("".join(_spell(letter) for letter in segment) for segment in path.split("/"))


def _spell(letter: str) -> str:
    if letter in _PLAIN:
        return letter
    return "".join(f"_{byte:02x}" for byte in letter.encode())


def socket_directory(run: str, program: str) -> str:
    """A directory for a tenant's sockets whose paths the kernel can hold; `run` is short enough, the rules say."""
    room = SOCKET_PATH_LIMIT - len(run.encode()) - 1 - _LONGEST_TAIL
    if len(program) <= room:
        return f"{run}/{program}"
    digest = hashlib.sha256(program.encode()).hexdigest()[:_DIGEST_LENGTH]
    readable = program[: max(0, room - _DIGEST_LENGTH - 1)]
    return f"{run}/{readable}-{digest}" if readable else f"{run}/{digest}"


def application_path(root: str) -> str:
    """The URL prefix of an application, for all its tenants alike, after its directory as atc.yml has it: so it is the
    same on the machine where stylesheets are compiled as on those that serve them.
    """
    directory = posixpath.normpath(root)
    return f"/_atc/static/{program_name('' if directory == '.' else directory)}"
