"""A browser for tests: one cookie jar for every tenant, pages with their links, and forms that can be filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

PATIENCE = 180.0  # for a tenant that is prepared and started by the request

_URLS = {"href", "src", "action", "formaction", "poster"}
_LATER = re.compile(r"data-[\w-]*(?:url|href|src|path)\Z")  # what a script will ask for
_IN_CSS = re.compile(r"""url\(\s*(['"]?)(.*?)\1\s*\)|@import\s+['"](.*?)['"]""")
_ASSETS = {"link": "href", "script": "src", "img": "src", "source": "src", "iframe": "src"}
_FIRST_TEXT = re.compile(r"(?:^|[\[._-])(?:title|summary|subject|name)\]?\Z", re.IGNORECASE)


@dataclass
class Field:
    """One control of a form."""

    name: str
    kind: str
    value: str = ""


@dataclass(frozen=True)
class Form:
    """A form as it stands on a page."""

    page: str  # the URL it was found at
    action: str
    method: str
    encoding: str
    fields: tuple[Field, ...]

    @property
    def title(self) -> Field | None:
        """The control that says what the thing is called."""
        texts = [each for each in self.fields if each.kind in {"text", "search", "textarea"}]
        return next((each for each in texts if _FIRST_TEXT.search(each.name)), None)

    def values(self, title: str) -> dict[str, str]:
        """What a person would send: the title, and something that fits wherever nothing stands yet."""
        hours = iter(range(9, 24))
        said = {}
        for each in self.fields:
            if each.kind != "file":
                said[each.name] = title if each is self.title else each.value or _fitting(each, hours)
        return said


@dataclass
class Page:
    """A document and what it refers to."""

    url: str
    status: int
    text: str
    links: list[str] = field(default_factory=list)  # absolute, of this host
    assets: list[str] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)

    def form(self, *names: str) -> Form:
        """The form that asks for a title, or has controls of these names. AssertionError when there is none."""
        for each in self.forms:
            if (each.title and not names) or (names and set(names) <= {one.name for one in each.fields}):
                return each
        raise AssertionError(f"no form with {names or 'a title'} at {self.url} ({self.status}): {self.text[:500]}")


class Browser:
    """Asks as a browser does, and keeps cookies by their path and `Secure`, for all tenants in one jar."""

    def __init__(self, verify: str) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = verify
        self.session.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
        self.session.headers["Accept"] = "text/html,application/xhtml+xml,*/*;q=0.8"
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, HTTPAdapter(max_retries=0))

    def get(self, url: str, *, follow: bool = True) -> requests.Response:
        """A document or an asset."""
        return self.session.get(url, timeout=PATIENCE, allow_redirects=follow)

    def open(self, url: str) -> Page:
        """A page, read."""
        answer = self.get(url)
        return read(answer.url, answer.status_code, answer.text)

    def submit(self, form: Form, values: Mapping[str, str], cookies: str | None = None) -> requests.Response:
        """Send a form from its page; the redirect is not followed. `cookies` are sent instead of the jar's."""
        parts = urlsplit(form.page)
        headers = {
            "Origin": f"{parts.scheme}://{parts.netloc}",
            "Referer": form.page,
            "Sec-Fetch-Site": "same-origin",
            "Sec-Fetch-Mode": "navigate",
        }
        session = self.session
        if cookies is not None:
            session = requests.Session()
            session.trust_env, session.verify = False, self.session.verify
            headers |= {"Cookie": cookies, "Accept": "text/html"}
        pieces: dict[str, Any] | None = None
        if form.encoding == "multipart/form-data":
            empty = {each.name: ("", b"", "application/octet-stream") for each in form.fields if each.kind == "file"}
            pieces = {**{name: (None, value) for name, value in values.items()}, **empty}
        return session.request(
            form.method.upper(),
            form.action,
            data=None if pieces else values,
            files=pieces,
            headers=headers,
            timeout=PATIENCE,
            allow_redirects=False,
        )

    def with_cookies(self, url: str, cookies: str) -> requests.Response:
        """A page, asked for by somebody who has these cookies only; a redirect is not followed."""
        return requests.get(
            url, headers={"Cookie": cookies}, verify=self.session.verify, timeout=PATIENCE, allow_redirects=False
        )

    def cookies_of(self, url: str) -> str:
        """The jar's cookies for a URL as a header says them; '' for none."""
        request = requests.Request("GET", url, cookies=self.session.cookies).prepare()
        return request.headers.get("Cookie", "")


def read(url: str, status: int, text: str) -> Page:
    """A page out of its HTML."""
    reader = _Reader(Page(url, status, text))
    reader.feed(text)
    reader.close()
    return reader.page


def urls_in_css(url: str, text: str) -> Iterator[str]:
    """What a stylesheet names: images, fonts, other stylesheets; not data that stands in it."""
    for found in _IN_CSS.finditer(text):
        named = found[2] or found[3]
        if named and not named.startswith(("data:", "#", "about:")):
            yield urljoin(url, named)


def elsewhere(form: Form, here: str, there: str) -> Form:
    """The same form as if it stood below another prefix of the same host."""
    return replace(form, page=form.page.replace(here, there, 1), action=form.action.replace(here, there, 1))


def _fitting(each: Field, hours: Iterator[int]) -> str:
    name = each.name.lower()
    if each.kind == "datetime-local":
        return f"2026-05-04T{next(hours):02}:00"
    if each.kind == "time" or (each.kind == "text" and name.endswith(("time", "start", "end"))):
        return f"{next(hours):02}:00"
    if each.kind == "date" or (each.kind == "text" and name.endswith(("date", "day", "on"))):
        return "2026-05-04"
    if each.kind == "text" and ("start" in name or "end" in name):
        return f"2026-05-04 {next(hours):02}:00"
    words = {"number": "1", "email": "a@example.com", "textarea": "Some words.", "text": "Some words."}
    return words.get(each.kind, "")


class _Reader(HTMLParser):
    """Collects links, assets and forms. Controls outside of a form that name it by `form=` are not looked for."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.page = page
        self._base = page.url
        self._fields: list[Field] | None = None
        self._head: tuple[str, str, str] = ("", "", "")
        self._open: Field | None = None  # a select or a textarea
        self._is_chosen = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "base" and "href" in said:
            self._base = urljoin(self._base, said["href"])
        self._note_links(tag, said)
        if tag == "form":
            action = urljoin(self._base, said.get("action") or self.page.url)
            self._head = (action, said.get("method", "get").lower(), said.get("enctype", ""))
            self._fields = []
        elif self._fields is not None:
            self._note_control(tag, said)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"select", "textarea"}:
            if self._open and tag == "textarea":
                self._open.value = self._open.value.removeprefix("\n")
            self._open = None
        elif tag == "form" and self._fields is not None:
            action, method, encoding = self._head
            self.page.forms.append(Form(self.page.url, action, method, encoding, tuple(self._fields)))
            self._fields = None

    def handle_data(self, data: str) -> None:
        if self._open and self._open.kind == "textarea":
            self._open.value += data

    def _note_links(self, tag: str, said: Mapping[str, str]) -> None:
        named = [value for name, value in said.items() if name in _URLS or _LATER.match(name)]
        if tag == "meta" and said.get("name", "").endswith("url"):
            named.append(said.get("content", ""))
        for source in said.get("srcset", "").split(","):
            named += source.split()[:1]
        host = urlsplit(self.page.url).netloc
        for each in named:
            url = urljoin(self._base, each).partition("#")[0]
            if each and not each.startswith("#") and urlsplit(url).netloc == host:
                self.page.links.append(url)
                is_page = tag == "link" and said.get("rel", "") in {"canonical", "alternate", "next", "prev"}
                if _ASSETS.get(tag) and each == said.get(_ASSETS[tag]) and not is_page:
                    self.page.assets.append(url)

    def _note_control(self, tag: str, said: Mapping[str, str]) -> None:
        if tag == "option" and self._open:
            if not self._is_chosen and ("selected" in said or not self._open.value):
                self._open.value, self._is_chosen = said.get("value", ""), "selected" in said
            return
        name, kind = said.get("name", ""), said.get("type", "text").lower() if tag == "input" else tag
        if not name or "disabled" in said or tag not in {"input", "select", "textarea"}:
            return
        if kind in {"submit", "button", "image", "reset"} or (kind in {"checkbox", "radio"} and "checked" not in said):
            return
        one = Field(name, kind, said.get("value", "on" if kind in {"checkbox", "radio"} else ""))
        assert self._fields is not None
        self._fields.append(one)
        if tag in {"select", "textarea"}:
            self._open, self._is_chosen = one, False
