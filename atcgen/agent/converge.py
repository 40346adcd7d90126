"""Follows the editions of atc.yml in the store: asks for a newer one, makes it run, and reports what became of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atcgen.agent.apply import Applier, file_of
from atcgen.agent.http import Answer, Request
from atcgen.compiler.plan import SharedPlan
from atcgen.errors import AtcError

if TYPE_CHECKING:
    from atcgen.agent.reporting import Reporter
    from atcgen.fleet.editions import Edition
    from atcgen.fleet.history import History, Newest, Refused

log = logging.getLogger("atc.agent")

PATIENCE = 5.0  # seconds that whoever waits for the store waits
_LONGEST = 30.0  # seconds after which a question to the store is given up
_NEVER = 3600.0
_LOOK = 10.0  # seconds that a request which was sent here in vain waits for a newer atc.yml
_BETWEEN_LOOKS = 1.0
_BETWEEN_REPORTS = 60.0  # seconds after which it is looked whether the last one is old


class Converger:
    """What makes this machine run the newest edition. One that follows no store does nothing."""

    def __init__(self, applier: Applier, environ: Mapping[str, str]) -> None:
        self.applier = applier
        self.service = applier.service
        self.runs = 0  # the number of the edition; 0 for an atc.yml of its own
        self.edited = False  # here, since
        self.since = time.time()
        self._failed = (0, "")  # the number of a newer one that does not run here, and why
        self._forged = (0, "")  # of one that is none
        self.problem = ""  # why the store could not be asked
        self._environ = environ
        self._opened: tuple[SharedPlan, History, Reporter] | None = None
        self._flying: asyncio.Task[bool] | None = None
        self._waiting: asyncio.Task[bool] | None = None
        self._looked = asyncio.Event()
        self._looking: asyncio.Task[bool] | None = None  # for who was sent here in vain
        self._looked_at = 0.0
        self._has_listed = False

    @property
    def refused(self) -> tuple[int, str]:
        """The number of something newer that does not run here, and why; 0 for nothing."""
        return self._failed if self._failed[0] else self._forged

    @property
    def shared(self) -> SharedPlan:
        """What is followed; it may change with an edit."""
        return self.service.plan.shared

    # Asking

    async def converged(self, patience: float = PATIENCE) -> bool:
        """Ask the store now, and return when what it says runs; False when it did not answer in time.

        Several who ask at once share one question, which begins after the first of them asked. What takes longer than
        `patience` goes on in the background.
        """
        if not self.shared.is_followed:
            return True
        if self._waiting is None:
            self._waiting = self.service.tasks.start(self._fly(self._flying))
        try:
            return await asyncio.wait_for(asyncio.shield(self._waiting), patience)
        except TimeoutError:
            return False

    async def looked_again(self) -> None:
        """A machine sent a request for what is not here, and may know more. Who forges such ones has the store asked
        once a second, no more.
        """
        now = self.service.clock()
        if self._looking is None or (self._looking.done() and now - self._looked_at >= _BETWEEN_LOOKS):
            self._looked_at, self._looking = now, self.service.tasks.start(self.converged(_LOOK))
        await asyncio.shield(self._looking)

    def time_has_passed(self) -> None:
        """This machine may have stood still."""
        if self.shared.is_followed:
            self.awake()
            self.service.tasks.start(self.converged())

    async def keep_asking(self) -> None:
        """Ask again and again."""
        while True:
            if self.shared.is_followed:
                await self.converged(_LONGEST)
                self._tell(lambda reporter: reporter.repeat())
            self._looked.clear()
            await self._wait_until_due()

    async def _wait_until_due(self) -> None:
        """For `fleet.poll`, or until somebody asked; meanwhile this machine says again and again that it is there."""
        loop = asyncio.get_running_loop()
        due = loop.time() + (self.shared.poll or _NEVER)
        while (left := due - loop.time()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._looked.wait(), min(left, _BETWEEN_REPORTS))
                return
            if self.shared.is_followed:
                self._tell(lambda reporter: reporter.repeat())

    def told(self, request: Request) -> Answer:
        """Somebody says that there is a new edition. Who knows the secret is believed, and then the store is asked."""
        from atcgen.fleet.told import HEADER, heard  # noqa: PLC0415 - only those who follow a store need it

        number = heard(request.headers.get(HEADER.lower(), ""), self.shared.secret, time.time())
        if number is None or request.method != "POST" or not self.shared.is_followed:
            return Answer(403)
        if number > self.runs:
            self.service.tasks.start(self.converged(_LONGEST))
        return Answer(204)

    async def _fly(self, before: asyncio.Task[bool] | None) -> bool:
        if before:
            await asyncio.wait({before})
        self._flying, self._waiting = self._waiting, None  # whoever asks from here on may know more than the store said
        try:
            async with asyncio.timeout(_LONGEST):
                newest = await self._ask()
            self._cannot_ask("")
            self._suspect(newest.refused)
            if newest.edition and newest.edition.number != self._failed[0]:
                await self._install(newest.edition)
        except (AtcError, OSError) as problem:
            self._cannot_ask(str(problem) or "the store does not answer")
            return False
        return True

    async def _ask(self) -> Newest:
        from atcgen.fleet.local import read_base  # noqa: PLC0415 - the same

        base, history = read_base(self._state), self._open()[1]
        known = base.number if base else 0
        if self._has_listed:
            return await history.next(known)
        newest = await history.newest(known)
        self._has_listed = True
        return newest

    async def _install(self, edition: Edition) -> None:
        from atcgen.fleet.local import take  # noqa: PLC0415 - the same

        def put() -> None:
            aside = take(file_of(self.service.plan), edition, self._state)
            if aside:
                log.warning("edition.replaced_an_edit number=%d kept=%s", edition.number, aside)

        log.info("edition.found number=%d who=%r", edition.number, edition.who)
        try:
            await self.applier.install(edition.text, put)
        except (AtcError, OSError) as problem:
            self._fail(edition.number, str(problem))
        self.look_at_the_file()

    def _cannot_ask(self, problem: str) -> None:
        if problem and problem != self.problem:
            log.warning("edition.not_asked reason=%r", problem)
        self.problem = problem

    def _fail(self, number: int, why: str) -> None:
        if (number, why) != self._failed:
            self._failed = (number, why)
            log.error("edition.refused number=%d; what runs goes on\n%s", number, why)
            self._tell(lambda reporter: reporter.changed())

    def _suspect(self, refused: tuple[Refused, ...] | None) -> None:
        if refused is None:
            return
        forged = (refused[0].number, refused[0].why) if refused else (0, "")
        if forged != self._forged:
            self._forged = forged
            if refused:
                log.error("edition.not_believed number=%d reason=%r", *forged)
            self._tell(lambda reporter: reporter.changed())

    # Reporting

    def look_at_the_file(self) -> None:
        """After atc.yml was applied, or was not: which edition runs now, or did somebody edit it here?"""
        self._looked.set()
        if not self.shared.is_followed or self.applier.is_busy:
            return
        from atcgen.fleet.editions import digest  # noqa: PLC0415 - the same
        from atcgen.fleet.local import note_edited, read_base, read_text  # noqa: PLC0415

        base, text = read_base(self._state), read_text(file_of(self.service.plan))
        edited = base is not None and digest(text) != base.digest
        if self.applier.problem:
            if base and not edited:
                self._fail(base.number, self.applier.problem)
            return
        number = base.number if base else 0
        if (number, edited) != (self.runs, self.edited):
            self.runs, self.edited, self.since = number, edited, time.time()
            log.info("edition.runs number=%d edited_here=%s", number, edited)
        if self._failed[0] <= number:
            self._failed = (0, "")
        note_edited(self._state, text if edited else None)
        self._tell(lambda reporter: reporter.changed())

    def status(self) -> dict[str, Any] | None:
        """For `atc status`; None for a machine that follows no store."""
        if not self.shared.is_followed:
            return None
        return {
            "edition": self.runs,
            "edited": self.edited,
            "refused": self.refused[0],
            "why": self.refused[1],
            "problem": self.problem,
        }

    async def asleep(self) -> None:
        """Report that the machine is about to sleep; returns soon, whether the store answers or not."""
        if self.shared.is_followed:
            with suppress(AtcError):
                await self._open()[2].asleep()

    def awake(self) -> None:
        """Report that it is awake again."""
        if self.shared.is_followed:
            self._tell(lambda reporter: reporter.awake())

    def _tell(self, say: Callable[[Reporter], None]) -> None:
        with suppress(AtcError):  # of a store that cannot be opened, which `problem` says
            say(self._open()[2])

    # The store

    @property
    def _state(self) -> Path:
        return Path(self.service.plan.paths.state)

    def _open(self) -> tuple[SharedPlan, History, Reporter]:
        if self._opened is None or self._opened[0] != self.shared:
            from atcgen.agent.reporting import Reporter  # noqa: PLC0415 - costs memory, as all of these
            from atcgen.fleet.history import open_history  # noqa: PLC0415

            history = open_history(self.shared, self._environ)
            self._opened = (self.shared, history, Reporter(self, history))
        return self._opened
