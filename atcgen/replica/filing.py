"""Copies the files of one tenant to the store: every now and then while it runs, and for the last time when it ended.

Contents go first, the list of them next, and the lease points to it last. So a restore sees one state or the other.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from atcgen.compiler.plan import TenantPlan
from atcgen.errors import AtcError, Unavailable
from atcgen.replica import fetching, files
from atcgen.replica.attachment import databases_of
from atcgen.replica.fetching import Damaged, Fetched, fetched, prefix_of, roots_of
from atcgen.replica.files import File, Manifest, Version
from atcgen.replica.lease import Holder, Lost, lease_clock
from atcgen.replica.progress import Progress
from atcgen.replica.site import Site
from atcgen.system.store import Changed, Entry
from atcgen.system.tree import Tree, digest_of, look_through

log = logging.getLogger("atc.agent")

_AT_ONCE = 4
_TRIES = 3
_LOOK_AGAIN = 0.05
_MANIFESTS_AT_ONCE = 8


class Filing:
    """One tenant's. Without directories of files it does nothing."""

    def __init__(self, plan: TenantPlan, site: Site) -> None:
        self.plan, self.site = plan, site
        self.problem = ""  # why they are not being copied, for people
        self._left_out: list[str] = []
        self._former: Manifest | None = None  # what the lease points to, as far as it is known
        self._read: dict[str, tuple[File, int]] = {}  # by name: what was read, and when, in nanoseconds
        self._blobs: dict[str, str] = {}  # by digest: where contents are that were sent in this epoch
        self._sending: dict[str, asyncio.Lock] = {}  # by digest, so that the same content is sent once
        self._epoch = 0
        self._wrote = False  # since the disk was last flushed
        self._lock = asyncio.Lock()  # one round at a time
        self._keeping: asyncio.Task[Any] | None = None

    # Before the tenant starts

    @asynccontextmanager
    async def fetched(
        self, version: Version | None, progress: Progress
    ) -> AsyncIterator[Callable[[Path | None], Path | None]]:
        """Have the files of a version, if there is one, beside their place. Inside, the function puts them there, and
        what was there before into the directory that is given or a new one.
        """
        directory = Path(self.plan.directory)
        fetching.remove_leftovers(directory)
        if version is None or not self.plan.files:
            yield lambda aside: aside
            return
        async with fetched(self.site, self.plan, version, directory, progress) as found:
            yield lambda aside: self._place(found, directory, aside)

    def _place(self, found: Fetched, directory: Path, aside: Path | None) -> Path | None:
        aside = found.place(directory, aside)
        self._wrote = True
        self._learn(found.manifest)
        log.info("files.restored tenant=%s version=%s", self.plan.id, found.manifest.version)
        return aside

    def _learn(self, manifest: Manifest) -> None:
        """What is here is what the manifest says."""
        self._read = {name: (each, manifest.version.taken * 10**6) for name, each in manifest.files.items()}

    # While it runs

    def begin(self, holder: Holder) -> None:
        """Copy what changed from now on, every now and then."""
        if self._keeping is None or self._keeping.done():
            self._keeping = self.site.start(self._keep_copying(holder))

    def end(self) -> None:
        """Copy nothing more."""
        if self._keeping:
            self._keeping.cancel()
            self._keeping = None

    async def _keep_copying(self, holder: Holder) -> None:
        while True:
            assert self.plan.backup
            await asyncio.sleep(self.plan.backup.files)
            try:
                await self.copy(holder)
            except Lost:
                return
            except AtcError:
                continue  # it was said, and is tried again

    # When it has ended

    async def finish(self, holder: Holder, is_wanted: Callable[[], bool]) -> bool:
        """Copy the last of it and flush the disk. False when the tenant is wanted before that is done; it goes on then.

        Raises `AtcError`.
        """
        if self.plan.files:
            work = self.site.start(self.copy(holder))
            while not work.done():
                if is_wanted():
                    return False
                await asyncio.wait([work], timeout=_LOOK_AGAIN)
            await work
            if self._wrote:
                await asyncio.to_thread(os.sync)
                self._wrote = False
        return True

    # A round

    async def copy(self, holder: Holder) -> None:
        """Have everything in the store as it is now. Raises `AtcError`."""
        if not self.plan.files:
            return
        async with self._lock:
            try:
                await self._copy(holder)
                self.problem = ""
            except (AtcError, OSError) as problem:
                self.problem = str(problem)
                log.warning("files.not_copied tenant=%s reason=%r", self.plan.id, self.problem)
                if isinstance(problem, OSError):
                    raise Unavailable(self.problem) from None
                raise

    async def _copy(self, holder: Holder) -> None:
        await self._know(holder)
        began = time.time()
        roots = roots_of(self.plan)  # an edit may change them meanwhile
        names = list(databases_of(self.plan))
        tree = await asyncio.to_thread(look_through, Path(self.plan.directory), roots, names)
        former = self._former
        found = await self._send(holder, tree)
        self._say(tree)
        manifest = Manifest(
            files.next_version(holder.lease.epoch, began, Version.parse(holder.lease.files)),
            tuple(sorted(roots)),
            found,
            tree.directories,
            tree.links,
        )
        is_same = former is not None and await asyncio.to_thread(manifest.says_the_same, former)
        if is_same:
            return
        if former is None and not holder.lease.files and not tree.directories:
            return  # there is nothing, and there never was
        await self._publish(holder, manifest, former)

    async def _know(self, holder: Holder) -> None:
        """Know what the lease points to, and so which contents are in the store for certain."""
        if self._epoch != holder.lease.epoch:
            self._epoch, self._blobs = holder.lease.epoch, {}
        version = Version.parse(holder.lease.files)
        if version is None:
            self._former = None
        elif self._former is None or self._former.version != version:
            try:
                self._former = await fetching.read(self.site, self.plan, version)
            except Damaged as problem:
                log.error("files.anew tenant=%s reason=%r", self.plan.id, str(problem))
                self._former = None
            if self._former and not self._read:
                self._learn(self._former)

    def _say(self, tree: Tree) -> None:
        if tree.left_out != self._left_out:
            self._left_out = tree.left_out
            if tree.left_out:
                log.warning("files.left_out tenant=%s %s", self.plan.id, "; ".join(tree.left_out[:20]))

    async def _send(self, holder: Holder, tree: Tree) -> dict[str, File]:
        """Have every content in the store; the files as they were read."""
        known = {each.digest: each.blob for each in self._former.files.values()} if self._former else {}
        known |= self._blobs
        found = await asyncio.to_thread(self._unchanged, tree, known)
        self._sending = {}
        left = iter([name for name in sorted(tree.files) if name not in found])
        results = await asyncio.gather(
            *(self._work(holder, left, tree, known, found) for _ in range(_AT_ONCE)), return_exceptions=True
        )
        problems = [each for each in results if isinstance(each, BaseException)]
        if problems:
            raise problems[0]
        self._read = {name: each for name, each in self._read.items() if name in found}
        return dict(sorted(found.items()))

    def _unchanged(self, tree: Tree, known: dict[str, str]) -> dict[str, File]:
        """The files that need not be read."""
        found = {}
        for name, now in tree.files.items():
            file, read_at = self._read.get(name, (None, 0))
            if file and file.digest in known and files.is_unchanged(file, now, read_at):
                found[name] = replace(file, mode=now.mode, blob=known[file.digest])
        return found

    async def _work(
        self, holder: Holder, left: Iterator[str], tree: Tree, known: dict[str, str], found: dict[str, File]
    ) -> None:
        """One of those that share the work, until nothing is left."""
        for name in left:
            if lease_clock() >= holder.safe_until:
                raise Unavailable("the lease could not be renewed")
            sent = await self._send_one(holder, name, tree, known)
            if sent:
                found[name] = sent

    async def _send_one(self, holder: Holder, name: str, tree: Tree, known: dict[str, str]) -> File | None:
        """Have one content in the store. None when the file is gone, or cannot be read; its former content when it
        changes all the time.
        """
        path = Path(self.plan.directory, name)
        for _ in range(_TRIES):
            read_at = time.time_ns()
            try:
                digest, stat = await asyncio.to_thread(digest_of, path)
                async with self._sending.setdefault(digest, asyncio.Lock()):
                    if digest not in known:
                        blob = f"{holder.lease.epoch}/{digest}"
                        await self.site.store.put_file(f"{prefix_of(self.plan)}/blobs/{blob}", path, digest)
                        self._blobs[digest] = known[digest] = blob
            except Changed:
                continue
            except FileNotFoundError:
                return None
            except OSError as problem:
                tree.left_out.append(f"{name} cannot be read: {problem.strerror}")
                return None
            file = File(stat.size, stat.mtime_ns, stat.mode, known[digest])
            self._read[name] = file, read_at
            return file
        return self._former.files.get(name) if self._former else None

    async def _publish(self, holder: Holder, manifest: Manifest, former: Manifest | None) -> None:
        assert self.plan.backup
        last, now = Version.parse(holder.lease.files), time.time()
        oldest = now - self.plan.backup.retention
        ends = files.ends_after(former.ends if former else (), last, holder.lease.epoch, oldest)
        is_untidy = former is not None and former.tidied < now - files.DAY
        tidied = now if is_untidy or former is None else former.tidied
        manifest = replace(manifest, ends=ends, tidied=tidied)
        body = await asyncio.to_thread(manifest.to_bytes)
        await self.site.store.put(f"{prefix_of(self.plan)}/{manifest.version}", body)
        await holder.point_files(str(manifest.version))
        self._former, self._wrote = manifest, True
        log.info("files.copied tenant=%s version=%s files=%d", self.plan.id, manifest.version, len(manifest.files))
        if is_untidy:
            await self._tidy(holder, manifest, now)

    # What nobody needs any more

    async def _tidy(self, holder: Holder, current: Manifest, now: float) -> None:
        """Delete lists that are too old, and contents that no list names. It can wait for the next day."""
        assert self.plan.backup
        prefix = prefix_of(self.plan)
        try:
            entries = await self.site.store.entries(prefix)
            known = files.versions(entries, prefix)
            true = files.truths(known, current.version, current.ends)
            kept = files.kept(true, now, self.plan.backup.retention)
            gone = sorted((set(true) - kept) | files.abandoned(known, true, holder.lease.epoch))
            contents = await self._contents(entries, kept, now)
            await holder.renew()  # is it still ours?
            await self.site.store.delete([f"{prefix}/{each}" for each in gone])
            await self.site.store.delete(contents)
            log.info("files.tidied tenant=%s lists=%d contents=%d", self.plan.id, len(gone), len(contents))
        except AtcError as problem:
            log.warning("files.not_tidied tenant=%s reason=%r", self.plan.id, str(problem))

    async def _contents(self, entries: list[Entry], kept: set[Version], now: float) -> list[str]:
        """Keys of contents that can go: none when any list cannot be read."""
        referenced: set[str] = set()
        left = iter(kept)

        async def work() -> None:
            for each in left:
                manifest = await fetching.read(self.site, self.plan, each)
                referenced.update(file.blob for file in manifest.files.values())

        await asyncio.gather(*(work() for _ in range(_MANIFESTS_AT_ONCE)))
        return files.unreferenced(entries, prefix_of(self.plan), referenced, now)
