"""Ten calendars in Rails and ten with each ORM of Node, all awake in one atc: each has its own rows, and only those.

One browser is signed in to all forty, and writes to them in an order by lot, with several forms open at a time: 1,000
times, in a minute and a half on two processors. ATC_WRITES is another number, ATC_SEED another lot.
"""

from __future__ import annotations

import os
import random
import re
import sqlite3
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import yaml

from atcgen.compiler.plan import TenantPlan
from tests.platforms.browser import PATIENCE, Browser, Form
from tests.platforms.calendars import ORMS, missing, subject
from tests.platforms.harness import Subject
from tests.system.running import Atc, serving_file

WRITES = int(os.environ.get("ATC_WRITES", "1000"))
SEED = int(os.environ.get("ATC_SEED", "1"))
PLATFORMS = ("rails", *ORMS)
_TENANTS = tuple(f"n{number}" for number in range(1, 11))  # n1 is how n10 begins
_TABS = 12  # forms that are open at a time
_DAY = "2026-05-04"
_LISTS = {"rails": f"/events?day={_DAY}"} | dict.fromkeys(ORMS, "/")
_TITLE, _PERSON = re.compile(r"Row \d{5} of [\w/]+ end"), re.compile(r"Person of [\w/]+ end")


@dataclass(frozen=True)
class _Crowd:
    """Forty tenants, and the browser that has all of them open."""

    base: str
    browser: Browser
    subjects: Mapping[str, Subject]  # by platform
    tenants: tuple[str, ...]  # PLATFORM/NAME

    def sign_in(self) -> None:
        """To each under a name of its own."""
        for each in self.tenants:
            form = self.browser.open(f"{self.base}/{each}{self.subjects[_user(each)].sign_in}").form("name")
            answer = self.browser.submit(form, form.values("") | {"name": _person(each)})
            assert answer.status_code in {302, 303}, f"{each}: {answer.status_code} {answer.text[:500]}"

    def write(self, count: int, lot: random.Random) -> dict[str, list[str]]:
        """The titles that each tenant has accepted."""
        written: dict[str, list[str]] = {each: [] for each in self.tenants}
        for first in range(0, count, _TABS):
            tabs = [(lot.choice(self.tenants), number) for number in range(first, min(first + _TABS, count))]
            forms = [(each, number, self._form(each)) for each, number in tabs]
            lot.shuffle(forms)
            for each, number, form in forms:
                title = f"Row {number:05} of {each} end"
                days = {field.name: _DAY for field in form.fields if field.kind == "date"}
                answer = self.browser.submit(form, form.values(title) | days)
                assert answer.status_code in {302, 303}, f"{title}: {answer.status_code} {answer.text[:500]}"
                assert f"/{each}/events/" in answer.headers["Location"], f"{title}: {answer.headers['Location']}"
                written[each].append(title)
        return written

    def _form(self, tenant: str) -> Form:
        return self.browser.open(f"{self.base}/{tenant}/events/new").form()

    def shown(self, tenant: str) -> tuple[list[str], set[str]]:
        """The titles that a tenant lists, and whoever it names."""
        page = self.browser.open(f"{self.base}/{tenant}{_LISTS[_user(tenant)]}")
        assert page.status == 200, f"{page.url}: {page.status} {page.text[:500]}"
        text = unescape(page.text)
        return sorted(_TITLE.findall(text)), set(_PERSON.findall(text))


@pytest.mark.system
def test_ten_of_each_at_once_have_their_own_data(tmp_path: Path) -> None:
    """All are awake from the first write to the last."""
    if why := "; ".join(filter(None, map(missing, PLATFORMS))):
        pytest.skip(why)
    subjects = {each: subject(each, tmp_path) for each in PLATFORMS}
    with serving_file(lambda port: _config(subjects, port)) as atc:
        plans = {each.id: each for each in atc.plan().tenants}
        crowd = _Crowd(f"http://localhost:{atc.port}", Browser(""), subjects, tuple(plans))
        _wake(crowd)
        before = _processes(atc)
        assert {state for state, _ in before.values()} == {"ready"}
        crowd.sign_in()
        written = crowd.write(WRITES, random.Random(SEED))
        shown = {each: crowd.shown(each) for each in crowd.tenants}

        assert _processes(atc) == before  # nobody slept, or was started again
        assert sum(map(len, written.values())) == WRITES
        for each, plan in plans.items():
            assert shown[each] == (sorted(written[each]), {_person(each)}), each
            assert _rows(plan) == [(title, _person(each)) for title in sorted(written[each])], each
            assert _below(Path(plan.directory)) == set(written[each]), each


def _config(subjects: Mapping[str, Subject], port: int) -> str:
    """The application of each user is in another framework."""
    server = {"http_port": port, "bind": "127.0.0.1", "hold": "10m"}
    users: dict[str, Any] = {
        platform: {"app": {**each.app, "start_timeout": "5m"}, "tenants": dict.fromkeys(_TENANTS)}
        for platform, each in subjects.items()
    }
    return str(yaml.safe_dump({"server": server, "idle": "1h", "users": users}))


def _wake(crowd: _Crowd) -> None:
    """By their first requests, some at a time, so that nobody waits longer than a browser does."""
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda each: Browser("").get(f"{crowd.base}/{each}/"), crowd.tenants))
    assert [each.status_code for each in said] == [200] * len(crowd.tenants), [each.text[:500] for each in said]


def _processes(atc: Atc) -> dict[str, tuple[str, int]]:
    return {each["id"]: (each["state"], each["pid"]) for each in atc.status()["tenants"]}


def _rows(plan: TenantPlan) -> list[tuple[str, str]]:
    """What is in the tenant's database."""
    with closing(sqlite3.connect(f"file:{plan.databases[0]}?mode=ro", uri=True, timeout=PATIENCE)) as database:
        return list(database.execute("SELECT title, author FROM events ORDER BY title"))


def _below(directory: Path) -> set[str]:
    """The titles that are in any file of a tenant."""
    found = (_TITLE.findall(each.read_text("latin-1")) for each in directory.rglob("*") if each.is_file())
    return {title for titles in found for title in titles}


def _user(tenant: str) -> str:
    return tenant.partition("/")[0]


def _person(tenant: str) -> str:
    return f"Person of {tenant} end"
