"""Commands of atc.yml as words: those of the application, and those of hooks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from atcgen.compiler import interpolate
from atcgen.compiler.hooks_schema import ServerHooks, TenantHooks
from atcgen.compiler.plan import HookPlan, Host

# What a command may hold only if a shell reads it; `${...}` of ours is taken out before.
_SHELL = re.compile(r"[|&;<>()$`*?\[\]#~{}!\n]|(^|\s)[A-Za-z_][A-Za-z0-9_]*=")


def command_text(words: tuple[str, ...]) -> str:
    """The words of a command line as atc.yml would have them: `${port}` is ours, any other `${` is meant as it is."""

    def escaped(found: re.Match[str]) -> str:
        return found[0] if found[1] in interpolate.VARIABLES else "$" + found[0]

    return re.sub(r"\$\{([^}]*)", escaped, shlex.join(words))


def is_shell(command: str) -> bool:
    """Does it take a shell to run a command?"""
    return bool(_SHELL.search(re.sub(r"\$\{[^}]*\}", "", command)))


def command_words(command: str, values: Mapping[str, str], host: Host) -> tuple[str, ...]:
    """A command as words: its own where no shell is needed, else a shell's with the command as one of them."""
    if not command.strip():
        return ()
    if is_shell(command):
        text, parameters = interpolate.expand_for_shell(command, values, host.environ)
        return ("/bin/sh", "-c", text, "sh", *parameters) if parameters else ("/bin/sh", "-c", text)
    return tuple(interpolate.expand(each, values, host.environ) for each in shlex.split(command))


def hook_plans(hooks: ServerHooks | TenantHooks, values: Mapping[str, str], host: Host) -> tuple[HookPlan, ...]:
    """The hooks of the machine, or of one tenant, in the order of their events."""
    return tuple(_hook_plans(hooks, values, host))


def _hook_plans(hooks: Any, values: Mapping[str, str], host: Host) -> Iterator[HookPlan]:
    for event, entries in hooks:
        for each in entries:
            yield HookPlan(event, command_words(each.run, values, host), each.timeout, each.retry)
