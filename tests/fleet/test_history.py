"""Editions in a store, a directory and a bucket."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from atcgen.errors import Unavailable
from atcgen.fleet.editions import Edition, key_of, sealed
from atcgen.fleet.history import History, Newest, Refused, written
from atcgen.fleet.reports import Report, forget, read_all, write
from atcgen.fleet.reports import key_of as report_key
from atcgen.system.store import Conflict, Store

SECRET = "known to all machines"
_T = TypeVar("_T")


def run(question: Coroutine[Any, Any, _T]) -> _T:
    """What the store answers."""
    return asyncio.run(question)


async def push(history: History, text: str) -> Edition:
    """The next edition."""
    return await history.add(written(text, "ann@laptop", "why"), await history.newest())


def test_editions_are_numbered_from_one(store: Store) -> None:
    """Each names the one before it."""

    async def work() -> None:
        history = History(store, SECRET)
        assert await history.newest() == Newest(None)
        first, second = await push(history, "a\n"), await push(history, "b\n")

        assert [(each.number, each.parent, each.text) for each in (first, second)] == [(1, 0, "a\n"), (2, 1, "b\n")]
        assert await history.newest() == Newest(second, (), 3)
        assert await history.newest(above=2) == Newest(None, (), 3)
        assert await history.next(2) == Newest(None, None, 3)
        assert (await history.next(1)).edition == second
        assert await history.read(1) == first
        assert await history.last(5) == [second, first]
        assert await history.last(1) == [second]

    run(work())


def test_one_of_two_who_push_at_once_is_told(store: Store) -> None:
    """Whatever they push, only one edition has the number."""

    async def work() -> None:
        history = History(store, SECRET)
        seen = await history.newest()
        done = await asyncio.gather(
            *(history.add(written(f"{each}\n", "x", ""), seen) for each in range(5)), return_exceptions=True
        )

        won = [each for each in done if isinstance(each, Edition)]
        assert [each.number for each in won] == [1]
        assert sum(isinstance(each, Conflict) for each in done) == 4
        assert (await history.newest()).edition == won[0]

    run(work())


def test_what_is_not_signed_is_not_the_newest(store: Store) -> None:
    """Neither junk, nor an edition of another secret, nor an old one under a new number; and nobody is held up."""

    async def work() -> None:
        history = History(store, SECRET)
        first = await push(history, "a\n")
        await store.create(key_of(2), b"users: {}\n")
        await store.create(key_of(3), sealed(Edition(3, "b\n", "x", "", "", 2), "another"))
        await store.create(key_of(999_999), sealed(first, SECRET))
        await store.create("fleet/config/readme", b"")

        found = await history.next(1)
        assert found.edition is None
        assert found.refused == (
            Refused(999_999, "it is edition 1 under another number"),
            Refused(3, "its signature was not made with fleet.secret"),
            Refused(2, "it is not signed"),
        )
        assert (await history.newest()).edition == first
        second = await push(history, "c\n")
        assert (second.number, second.parent) == (4, 1)
        assert (await history.next(1)).edition == second

    run(work())


def test_an_edition_that_is_not_there_or_not_signed_is_said(store: Store) -> None:
    """For `atc rollback`."""

    async def work() -> None:
        await store.create(key_of(1), b"{}")
        history = History(store, SECRET)
        with pytest.raises(Unavailable, match="there is no edition 2"):
            await history.read(2)
        with pytest.raises(Unavailable, match="edition 1 is not to be trusted: it is not signed"):
            await history.read(1)

    run(work())


def test_reports_are_signed_too(store: Store) -> None:
    """What was put there by somebody else, or under another name, says nothing."""

    async def work() -> None:
        reports = [
            Report(each, "sea", each, "http://x:1", "0", 12, False, 0, "", 1.0, True, 2.0) for each in ("b", "a", "é/x")
        ]
        for each in reports:
            await write(store, each, SECRET)
        await write(store, reports[0], SECRET)
        await store.put(report_key("c"), b"{}")
        found = await store.get(report_key("a"))
        assert found
        await store.put(report_key("d"), found.body)

        assert await read_all(store, SECRET) == [reports[1], reports[0], reports[2]]
        assert await read_all(store, "another") == []

    run(work())


def test_reports_of_machines_that_are_gone_go(store: Store) -> None:
    """A host without an instance stays: nobody can say that it is gone."""

    async def work() -> None:
        reports = [
            Report(each, "sea", instance, "http://x:1", "0", 12, False, 0, "", 1.0, True, 2.0)
            for each, instance in (("a", "a"), ("b", "b"), ("host", ""))
        ]
        for each in reports:
            await write(store, each, SECRET)
        assert await forget(store, reports, {"a"}) == ["b"]
        assert [each.machine for each in await read_all(store, SECRET)] == ["a", "host"]

    run(work())
