"""Where everything is below the state directory, and how paths of atc.yml become absolute."""

from __future__ import annotations

import os.path

from atcgen.compiler.plan import Paths


def state_paths(state: str) -> Paths:
    """The layout of a state directory."""
    run = f"{state}/run"
    return Paths(
        state=state,
        current=f"{state}/current",
        run=run,
        logs=f"{state}/logs",
        tmp=f"{state}/tmp",
        cache=f"{state}/cache",
        nginx_pid=f"{run}/nginx.pid",
        nginx_locks=f"{run}/nginx",
        nginx_status=f"{run}/nginx.sock",
        agent_socket=f"{run}/agent.sock",
        control_socket=f"{run}/control.sock",
        events=f"{run}/events",
        supervisor_socket=f"{run}/supervisor.sock",
        supervisor_pid=f"{run}/supervisor.pid",
        builds=f"{state}/builds",
        copies=f"{state}/copies",
        drill=f"{state}/drill.json",
        began=f"{run}/began",
        asleep=f"{run}/asleep",
        again=f"{run}/again.sock",
    )


def absolute(base: str, path: str) -> str:
    """A path of atc.yml, which is relative to the file."""
    return os.path.normpath(os.path.join(base, path))


def is_made(directory: str, base: str, state: str) -> bool:
    """Is the directory of a store made when it is missing? Elsewhere it may be a disk that is not mounted."""
    return any(os.path.commonpath((directory, each)) == os.path.normpath(each) for each in (base, state))
