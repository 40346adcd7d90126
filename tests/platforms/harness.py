"""Any application as two tenants of one code directory, looked at as a browser sees them: through nginx, and TLS.

`verify(Subject(…))` serves it with a real `atc run` and fails with every check that does not hold. The application is a
calendar: `/` lists events, `/events/new` has the form for one, which redirects when it was sent.
"""

from __future__ import annotations

import itertools
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fnmatch import fnmatch
from html import unescape
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urljoin, urlsplit

import requests
import yaml

from tests.platforms.browser import Browser, Form, Page, elsewhere, read, urls_in_css
from tests.platforms.checks import Check, Findings, failures, record
from tests.platforms.front import tls_front
from tests.platforms.live import Live, listening
from tests.system.running import Atc, serving_file, wait_until

TENANTS = ("boston/2025/april", "chicago/2025/may")
_NOT_CODE = ("__pycache__", ".venv", "venv", "node_modules", ".git", ".bundle", "vendor")


@dataclass(frozen=True)
class Subject:
    """An application to look at."""

    name: str
    app: Mapping[str, Any]  # `app:` of atc.yml; `root` is absolute
    live: Live | None = None
    lists: str = "/"  # a page with links and assets
    front: int = 200  # what the tenant's front page answers
    form: str = "/events/new"
    enter: Callable[[Browser, Atc, str, str], None] | None = None  # signs in to (base, tenant), where forms need that
    sign_in: str = ""  # a page that asks for `name`, which all pages show then
    # What a form's token belongs to: the session, which a stolen one must not open elsewhere, or a cookie that says the
    # same (Django's, which is no session). Without tokens nothing of the kind is looked at.
    token: Literal["session", "cookie", "none"] = "session"
    writes: tuple[str, ...] = ()  # patterns of what it may write below its root: what a build makes
    server: Mapping[str, Any] | None = None


def verify(subject: Subject) -> None:
    """Everything holds, or AssertionError with all that does not."""
    checks, said = examine(subject)
    record(subject.name, checks)
    problems = failures(checks)
    assert not problems, "\n".join((f"{len(problems)} of {len(checks)} checks:", *problems, "", said))


def examine(subject: Subject) -> tuple[list[Check], str]:
    """Every check, and the last that the tenants printed."""
    root = Path(subject.app["root"])
    before = _files(root, subject.writes)
    with ExitStack() as stack:
        atc = stack.enter_context(serving_file(lambda port: _config(subject, port)))
        front = stack.enter_context(tls_front(atc.port))
        look = _Look(subject, atc, Browser(front.authority))
        if look.starts():
            for base in (f"http://localhost:{atc.port}", f"https://localhost:{front.port}"):
                look.all_at(base)
        with look.found.check("code untouched", "both"):
            changed = {str(path) for path, _ in set(_files(root, subject.writes).items()) ^ set(before.items())}
            assert not changed, f"written below the application's directory: {sorted(changed)}"
        logs = sorted((atc.home / ".atc/logs/tenants").rglob("*"))
        said = [f"--- {each.name}\n{each.read_text(errors='replace')[-3000:]}" for each in logs if each.is_file()]
        return look.found.checks, "\n".join((*said, (atc.home / "log").read_text()[-2000:]))


def _config(subject: Subject, port: int) -> str:
    users: dict[str, Any] = {}
    for each in TENANTS:
        user, _, path = each.partition("/")
        users[user] = {"name": user.title(), "tenants": {path: None}}
    server = {"http_port": port, "bind": "127.0.0.1", "hold": "10m", "trusted_proxies": ["127.0.0.1"]}
    said = {"server": server | dict(subject.server or {}), "app": dict(subject.app), "users": users}
    return str(yaml.safe_dump(said))


class _Look:
    """Looks at both tenants, with one browser."""

    def __init__(self, subject: Subject, atc: Atc, browser: Browser) -> None:
        self.subject, self.browser = subject, browser
        self.found = Findings()
        self._atc = atc
        self._directories = {each.id: Path(each.directory) for each in atc.plan().tenants}

    def starts(self) -> bool:
        """Both are prepared and ready; without that nothing else is looked at."""
        for each in TENANTS:
            with self.found.check("start", each):
                said = self._atc.cli("start", each, check=False)
                assert said.returncode == 0, said.stdout + said.stderr
        return not failures(self.found.checks)

    def all_at(self, base: str) -> None:
        """Everything, from one scheme."""
        scheme = urlsplit(base).scheme
        if enter := self.subject.enter:
            for each in TENANTS:
                with self.found.check("enter", f"{scheme} {each}"):
                    enter(self.browser, self._atc, base, each)
            for each, other in itertools.permutations(TENANTS):
                with self.found.check("foreign session", f"{scheme} {other} at {each}"):
                    self._refuses(f"{base}/{each}{self.subject.form}", self.browser.cookies_of(f"{base}/{other}/"))
        for each in TENANTS:
            self._list(base, each, f"{scheme} {each}")
        self._both_forms(base, scheme)
        for each in TENANTS:
            self._bare(f"{base}/{each}", f"{scheme} {each}")
        if self.subject.sign_in:
            self._sign_in(base, scheme)
        if self.subject.live:
            self._live(base, scheme, self.subject.live)
        if self.subject.token != "none":
            for here, there in itertools.permutations(TENANTS):
                self._foreign(f"{base}/{here}", f"{base}/{there}", there, f"{scheme} {here} at {there}")

    def _list(self, base: str, tenant: str, place: str) -> None:
        page = Page("", 0, "")
        with self.found.check("list", place):
            page = self.browser.open(f"{base}/{tenant}{self.subject.lists}")
            assert page.status == 200, f"{page.url}: {page.status} {page.text[:500]}"
        with self.found.check("links", place):
            _stay(page, f"{base}/{tenant}")
        with self.found.check("assets", place):
            self._assets(page, f"{base}/{tenant}")

    def _assets(self, page: Page, prefix: str) -> None:
        assert page.assets, f"no stylesheet, script or image at {page.url}"
        waiting, seen = list(page.assets), set()
        while waiting:
            url = waiting.pop()
            if url in seen:
                continue
            seen.add(url)
            answer = self.browser.get(url)
            assert answer.status_code == 200, f"{url}: {answer.status_code}"
            if answer.headers.get("Content-Type", "").startswith("text/css"):
                waiting += urls_in_css(url, answer.text)
        shared = urljoin(prefix, "/_atc/static/")  # what stylesheets that were compiled once ask for
        strays = [each for each in seen if not _within(each, prefix) and not each.startswith(shared)]
        assert not strays, f"outside of the prefix: {strays}"

    def _both_forms(self, base: str, scheme: str) -> None:
        """Both are open before the first is sent, as in two tabs: cookies that collide are found by that."""
        forms: dict[str, Form] = {}
        for each in TENANTS:
            with self.found.check("form", f"{scheme} {each}"):
                page = self.browser.open(f"{base}/{each}{self.subject.form}")
                _stay(page, f"{base}/{each}")
                forms[each] = page.form()
        for each in TENANTS:
            title = _title(each)
            with self.found.check("submit", f"{scheme} {each}"):
                answer = self.browser.submit(forms[each], forms[each].values(title))
                shown = self.browser.get(_redirected(answer, f"{base}/{each}"))
                assert shown.status_code == 200, f"{shown.url}: {shown.status_code}"
                assert title in unescape(shown.text), f"{shown.url} does not show {title!r}"
            with self.found.check("own row", f"{scheme} {each}"):
                wait_until(lambda each=each, title=title: self._has(each, title), 5)  # type: ignore[misc]
                neighbours = [other for other in TENANTS if other != each and self._has(other, title)]
                assert not neighbours, f"{title!r} is at {neighbours} as well"

    def _bare(self, url: str, place: str) -> None:
        for name, end in (("/prefix", ""), ("/prefix/", "/")):
            with self.found.check(name, place):
                answer = self.browser.get(url + end)
                assert answer.status_code == self.subject.front, f"{answer.url}: {answer.status_code}"
                assert _within(answer.url, url), f"led to {answer.url}"

    def _sign_in(self, base: str, scheme: str) -> None:
        """Signed in to both at once, each under a name of its own, and neither is known to the other."""
        names = {each: _title(each) for each in TENANTS}
        pages = {each: self.browser.open(f"{base}/{each}{self.subject.sign_in}") for each in TENANTS}
        for each, page in pages.items():
            with self.found.check("sign in", f"{scheme} {each}"):
                form = page.form("name")
                answer = self.browser.submit(form, form.values("") | {"name": names[each]})
                _redirected(answer, f"{base}/{each}")
        for each, other in itertools.permutations(TENANTS):
            with self.found.check("both signed in", f"{scheme} {each}"):
                text = unescape(self.browser.open(f"{base}/{each}/").text)
                assert names[each] in text, f"{names[each]!r} is not shown"
                assert names[other] not in text, f"{names[other]!r} is shown"
            with self.found.check("foreign session", f"{scheme} {other} at {each}"):
                cookies = self.browser.cookies_of(f"{base}/{other}/")
                assert cookies, "there is no session to take along"
                answer = self.browser.with_cookies(f"{base}/{each}/", cookies)
                assert names[other] not in unescape(answer.text), "a session of the one is used at the other"

    def _refuses(self, url: str, cookies: str) -> None:
        assert cookies, "there is no session to take along"
        said = self.browser.with_cookies(url, cookies)
        page = read(said.url, said.status_code, said.text)
        assert not any(each.title for each in page.forms), "a session of the one is used at the other"

    def _live(self, base: str, scheme: str, live: Live) -> None:
        with ExitStack() as stack:
            heard = {}
            for each in TENANTS:
                with self.found.check("live", f"{scheme} {each}"):
                    page = self.browser.open(f"{base}/{each}/").text
                    heard[each] = stack.enter_context(listening(live, self.browser, f"{base}/{each}", page))
            for each, stream in heard.items():
                before = {other: len(one.news) for other, one in heard.items()}
                with self.found.check("live news", f"{scheme} {each}"):
                    form = self.browser.open(f"{base}/{each}{self.subject.form}").form()
                    _redirected(self.browser.submit(form, form.values(_title(each))), f"{base}/{each}")
                    stream.wait_for_news(before[each] + 1)
                    others = {other: one.news[before[other] :] for other, one in heard.items() if other != each}
                    assert not any(others.values()), f"told to the neighbour too: {others}"

    def _foreign(self, here: str, there: str, tenant: str, place: str) -> None:
        """A form's token of one tenant is refused by the other: with that one's cookies, and with its own."""
        kinds = {"foreign token": there} | ({"foreign cookies": here} if self.subject.token == "session" else {})
        for name, whose in kinds.items():
            with self.found.check(name, place):
                form = elsewhere(self.browser.open(f"{here}{self.subject.form}").form(), here, there)
                title = _title(tenant)
                answer = self.browser.submit(form, form.values(title), self.browser.cookies_of(f"{whose}/"))
                assert 400 <= answer.status_code < 500, f"{answer.status_code}, to {answer.headers.get('Location')}"
                assert not self._has(tenant, title), "it was accepted"

    def _has(self, tenant: str, text: str) -> bool:
        """Is it in one of the tenant's databases?"""
        return any(_holds(each, text) for each in _databases(self._directories[tenant]))


def _title(tenant: str) -> str:
    return f"{tenant.partition('/')[0].title()} {secrets.token_hex(4)}"


def _within(url: str, prefix: str) -> bool:
    return url == prefix or url.startswith((f"{prefix}/", f"{prefix}?"))


def _stay(page: Page, prefix: str) -> None:
    assert page.links, f"nothing is linked at {page.url} ({page.status})"
    strays = sorted({each for each in page.links if not _within(each, prefix)})
    assert not strays, f"outside of the prefix: {strays}"


def _redirected(answer: requests.Response, prefix: str) -> str:
    """Where a form that was accepted leads."""
    assert answer.status_code in {302, 303}, f"{answer.url}: {answer.status_code} {answer.text[:1500]}"
    location = urljoin(answer.url, answer.headers["Location"])
    assert _within(location, prefix), f"Location: {answer.headers['Location']}"
    return location


def _databases(directory: Path) -> Iterator[Path]:
    for each in directory.rglob("*"):
        if each.is_file():
            with each.open("rb") as file:
                is_one = file.read(16) == b"SQLite format 3\0"
            if is_one:
                yield each


def _holds(file: Path, text: str) -> bool:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = (row for name in names for row in database.execute(f'SELECT * FROM "{name}"'))
        return any(isinstance(value, str) and text in value for row in rows for value in row)


def _files(root: Path, writes: Sequence[str]) -> dict[Path, tuple[int, int]]:
    """The files of the application with their size and time, without what is installed or may be written."""
    found = {}
    for place, directories, files in os.walk(root):
        directories[:] = [each for each in directories if each not in _NOT_CODE]
        for each in files:
            path = (Path(place) / each).relative_to(root)
            if not any(fnmatch(str(path), pattern) for pattern in writes):
                about = (root / path).lstat()
                found[path] = (about.st_size, about.st_mtime_ns)
    return found
