"""The example calendar, run for real: migrated, served by gunicorn on a unix socket, under a prefix."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from html import unescape
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import pytest

ROOT = Path(__file__).parents[2] / "examples" / "calendar"
BIN = ROOT / ".venv" / "bin"
PREFIX = "/bellevue/2025/winter"
MONTH = f"{PREFIX}/month/2025/12"
BOUNDARY = "a-boundary-no-file-contains"
TIMEOUT = 20.0

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not BIN.is_dir(), reason="examples/calendar/.venv is missing: run make install"),
]


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("calendar.test", timeout=TIMEOUT)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(str(self.path))


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self) -> str:
        return unescape(self.body.decode())


class Site:
    """A migrated calendar in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "app.sock"
        self.database = directory / "calendar.sqlite3"
        self.uploads = directory / "uploads"
        self.log = directory / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.environ = {
            "PATH": os.environ["PATH"],
            "DATABASE_PATH": str(self.database),
            "SECRET_KEY": "only for tests",
            "CALENDAR_TITLE": "Winter term",
            "SCRIPT_NAME": PREFIX,
        }
        self.flask("db", "upgrade")

    def flask(self, *arguments: str) -> str:
        command = [str(BIN / "flask"), "--app", "app", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environ, check=False, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stderr + done.stdout

    def start(self) -> None:
        options = ["--no-control-socket", "-c", "gunicorn.conf.py", "--bind", f"unix:{self.socket}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [BIN / "gunicorn", *options, "app:app"], cwd=ROOT, env=self.environ, stdout=log, stderr=log
            )
        until(self.is_up, "the calendar starts")

    def is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        return self.socket.exists() and Browser(self).get(f"{PREFIX}/up").body == b"ok"

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(TIMEOUT)
        finally:
            self.process.kill()


class Browser:
    """Keeps cookies, knows nothing else."""

    def __init__(self, site: "Site | Served") -> None:
        self.site = site
        self.cookies: dict[str, str] = {}

    def send(self, method: str, url: str, body: bytes = b"", content_type: str = "") -> Answer:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if content_type:
            headers["Content-Type"] = content_type
        with closing(UnixConnection(self.site.socket)) as connection:
            connection.request(method, url, body or None, headers)
            answer = Answer(connection.getresponse())
        for line in answer.headers.get_all("Set-Cookie", []):
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
        return answer

    def get(self, url: str) -> Answer:
        return self.send("GET", url)

    def submit(self, page: str, action: str, **fields: str | tuple[str, bytes]) -> Answer:
        """Fill in the form with this action on the page, and send it with all its hidden fields."""
        form = next(form for form in Page(self.get(page)).forms if form.action == action)
        assert form.fields["csrf_token"]
        values: dict[str, str | tuple[str, bytes]] = {**form.fields, **fields}
        return self.send("POST", action, multipart(values), f"multipart/form-data; boundary={BOUNDARY}")

    def follow(self, answer: Answer) -> Answer:
        assert answer.status == 302, answer.text
        return self.get(answer.headers["Location"])

    def post_json(self, **values: object) -> Answer:
        return self.send("POST", f"{PREFIX}/api/events", json.dumps(values).encode(), "application/json")

    def add(self, title: str) -> str:
        """Add an event through the real form; its page."""
        url = f"{PREFIX}/events/new"
        answer = self.submit(url, url, title=title, day="2025-12-05", start="09:00", end="10:30")
        assert answer.status == 302, answer.text
        return answer.headers["Location"]


def multipart(values: dict[str, str | tuple[str, bytes]]) -> bytes:
    parts = []
    for name, value in values.items():
        filename, content = ("", value.encode()) if isinstance(value, str) else value
        extra = f'; filename="{filename}"\r\nContent-Type: application/octet-stream' if filename else ""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


class Form:
    def __init__(self, action: str) -> None:
        self.action = action
        self.fields: dict[str, str] = {}


class Page(HTMLParser):
    """The links and forms of a page."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.forms: list[Form] = []
        self.feed(answer.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.links |= {found[name] for name in ("href", "src", "data-live-url") if name in found}
        if tag == "form":
            self.forms.append(Form(found["action"]))
        elif tag == "input" and self.forms and found.get("type") not in ("file", "checkbox"):
            self.forms[-1].fields[found["name"]] = found.get("value", "")


class Stream:
    """An open stream of live messages."""

    def __init__(self, site: Site) -> None:
        self.connection = UnixConnection(site.socket)
        self.connection.request("GET", f"{PREFIX}/live")
        self.response = self.connection.getresponse()

    def next_line(self, start: str) -> str:
        deadline = time.monotonic() + TIMEOUT
        while line := self.response.readline():
            assert time.monotonic() < deadline, "nothing but heartbeats"
            if line.decode().startswith(start):
                return line.decode().removeprefix(start)
        raise AssertionError("the stream ended")

    def close(self) -> None:
        self.response.close()
        self.connection.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("calendar"))
    site.start()
    yield site
    site.stop()


@pytest.fixture
def browser(site: Site) -> Browser:
    return Browser(site)


def test_every_link_stays_under_the_prefix_and_works(browser: Browser) -> None:
    """Whatever a page links to, loads or submits to is below the prefix and answers."""
    browser.submit(f"{PREFIX}/sign-in", f"{PREFIX}/sign-in", name="Ana")
    event = browser.add("Linked")
    pages = ["/", "/month/2025/12", "/agenda", "/agenda/past", "/day/2025-12-05", "/events/new", "/nothing"]
    urls = [*(PREFIX + page for page in pages), event, f"{event}/edit"]
    visits = [(url, browser) for url in urls] + [(MONTH, Browser(browser.site))]
    for url, visitor in visits:
        page = Page(visitor.get(url))
        assert any("/static/style.css?v=" in link for link in page.links)
        for link in page.links - {"#content", f"{PREFIX}/live"}:
            assert link.startswith(f"{PREFIX}/"), f"{url} links to {link}"
            assert browser.get(link).status == 200, f"{url} links to {link}"
        for form in page.forms:
            assert form.action.startswith(f"{PREFIX}/")
            assert "csrf_token" in form.fields


def test_assets_may_be_kept_for_good(browser: Browser) -> None:
    """An asset URL carries the hash of its content, so it never needs to be asked for again."""
    for link in Page(browser.get(MONTH)).links:
        if "/static/" in link:
            assert re.search(r"\?v=[0-9a-f]{12}$", link)
            assert "immutable" in browser.get(link).headers["Cache-Control"]


def test_an_event_is_created_edited_and_deleted(browser: Browser) -> None:
    """The whole life of an event through the real forms, with a message after each step."""
    url = browser.add("Choir <rehearsal>")
    page = browser.get(url)
    assert "“Choir <rehearsal>” was saved." in page.text
    assert b"Choir &lt;rehearsal&gt;" in page.body
    assert "Choir <rehearsal>" in browser.get(MONTH).text
    changed = browser.submit(f"{url}/edit", f"{url}/edit", title="Choir concert", end="12:00")
    assert "Choir concert" in browser.follow(changed).text
    assert "09:00 – 12:00" in browser.get(f"{PREFIX}/day/2025-12-05").text
    deleted = browser.follow(browser.submit(url, f"{url}/delete"))
    assert "“Choir concert” was deleted." in deleted.text
    assert browser.get(url).status == 404
    assert "Choir concert" not in browser.get(MONTH).text


@pytest.mark.parametrize("path", ["/events/new", "/sign-in", "/sign-out", "/events/{id}/delete"])
def test_a_form_without_its_token_is_refused(browser: Browser, path: str) -> None:
    """No form is accepted without its token, and a plain page says so."""
    event = browser.add("Still here")
    url = PREFIX + path.format(id=event.rpartition("/")[2])
    body = urlencode({"title": "x", "name": "x", "day": "2025-12-05", "start": "09:00", "end": "10:00"})
    answer = browser.send("POST", url, body.encode(), "application/x-www-form-urlencoded")
    assert answer.status == 400
    assert "This form was not accepted" in answer.text
    assert browser.get(event).status == 200


def test_a_background_refresh_leaves_the_message_to_the_window_it_is_for(browser: Browser) -> None:
    """A page that refreshes itself between a change and its confirmation does not swallow the latter."""
    url = browser.add("Quiet")
    cookie = f"session={browser.cookies['session']}"
    with closing(UnixConnection(browser.site.socket)) as connection:
        connection.request("GET", MONTH, headers={"Cookie": cookie, "X-Background-Refresh": "1"})
        refreshed = Answer(connection.getresponse())
    assert "was saved" not in refreshed.text
    assert "Set-Cookie" not in refreshed.headers
    assert "was saved" in browser.get(url).text


def test_mistakes_are_shown_in_the_form(browser: Browser) -> None:
    """A refused form says what is wrong with each field and keeps what was typed."""
    url = f"{PREFIX}/events/new"
    answer = browser.submit(url, url, title=" ", day="", start="10:00", end="09:00", notes="Keep me")
    assert answer.status == 200
    for text in ("Give the event a title.", "Choose a day.", "The end must be later", "Keep me"):
        assert text in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert "The year must be between" in browser.submit(url, url, title="x", day="0001-01-01").text


def test_a_session_keeps_the_name_of_one_browser(site: Site, browser: Browser) -> None:
    """The name belongs to the browser that signed in, and is stored with its events."""
    sign_in = f"{PREFIX}/sign-in"
    assert "Hello, Ana." in browser.follow(browser.submit(sign_in, sign_in, name="Ana")).text
    url = browser.add("By Ana")
    assert re.search(r"Added by</dt>\s*<dd>Ana<", browser.get(url).text)
    assert "Sign out" not in Browser(site).get(url).text
    browser.follow(browser.submit(url, f"{PREFIX}/sign-out"))
    assert "Added by" not in browser.get(browser.add("By nobody")).text


def test_a_stream_tells_of_a_change_made_by_another_client(site: Site, browser: Browser) -> None:
    """An open page hears at once what another browser changed."""
    with closing(Stream(site)) as stream:
        assert stream.response.headers["Content-Type"] == "text/event-stream"
        assert stream.response.headers["Cache-Control"] == "no-cache"
        assert stream.response.headers["X-Accel-Buffering"] == "no"
        url = browser.add("News")
        number = int(url.rpartition("/")[2])
        assert stream.next_line("event: ") == "change\n"
        assert json.loads(stream.next_line("data: ")) == {"action": "created", "id": number}
        browser.submit(url, f"{url}/delete")
        assert json.loads(stream.next_line("data: ")) == {"action": "deleted", "id": number}


def test_a_stream_whose_client_is_gone_makes_room(site: Site) -> None:
    """Streams never use up all threads, and a closed one frees its thread without a heartbeat."""
    streams = [Stream(site)]
    try:
        while streams[-1].response.status == 200:
            assert len(streams) < 64
            streams.append(Stream(site))
        assert streams[-1].response.status == 503
        assert Browser(site).get(f"{PREFIX}/up").status == 200
    finally:
        for stream in streams:
            stream.close()
    begin = time.monotonic()

    def accepted() -> bool:
        with closing(Stream(site)) as stream:
            return stream.response.status == 200

    until(accepted, "a place for a stream")
    assert time.monotonic() - begin < 5


def test_an_attachment_comes_back_byte_for_byte(site: Site, browser: Browser) -> None:
    """A file is kept, served whole or in part as a download, replaced, and deleted with its event."""
    content = os.urandom(3 * 1024 * 1024)
    url = browser.add("With a file")
    edit = f"{url}/edit"
    browser.submit(edit, edit, attachment=("plan für alle.html", content))
    answer = browser.get(f"{url}/attachment")
    assert answer.body == content
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert "plan für alle.html" in browser.get(url).text
    browser.submit(edit, edit, title="Renamed")
    assert browser.get(f"{url}/attachment").body == content
    browser.submit(edit, edit, attachment=("short.txt", b"short"))
    assert browser.get(f"{url}/attachment").body == b"short"
    assert [path.read_bytes() for path in site.uploads.iterdir()] == [b"short"]
    browser.submit(url, f"{url}/delete")
    assert list(site.uploads.iterdir()) == []


def test_programs_speak_json(browser: Browser) -> None:
    """The API creates events without a token, lists them, and explains what it refuses."""
    answer = browser.post_json(title="Chess", day="2031-01-02", start="14:00", end="15:00", author="Bot")
    assert answer.status == 201
    event = json.loads(answer.body)
    assert browser.get(answer.headers["Location"]).status == 200
    assert json.loads(browser.get(f"{PREFIX}/api/events?from=2031-01-01").body) == {"events": [event]}
    assert (event["title"], event["start"], event["author"]) == ("Chess", "14:00", "Bot")
    refused = browser.post_json(title="", day="tomorrow", start="14:00", end="13:00")
    assert refused.status == 400
    assert set(json.loads(refused.body)["fields"]) == {"title", "day", "end"}
    assert browser.get(f"{PREFIX}/api/events/999999").headers["Content-Type"] == "application/json"


def test_a_full_day_is_cut_in_the_month_and_paged_on_its_page(browser: Browser) -> None:
    """However many events a day has, the month stays readable and all can be reached."""
    for number in range(55):
        browser.post_json(title=f"Slot {number:02}", day="2032-05-04", start=f"10:{number:02}", end="11:00")
    month = browser.get(f"{PREFIX}/month/2032/5").text
    assert "Slot 02" in month
    assert "Slot 03" not in month
    assert "+52" in month
    first, second = (browser.get(f"{PREFIX}/day/2032-05-04?page={page}").text for page in (1, 2))
    assert "Slot 49" in first
    assert "Slot 50" not in first
    assert "Slot 54" in second


def test_the_first_page_is_this_month(browser: Browser) -> None:
    """The home page shows today, and the agenda only what is still to come."""
    browser.add("Long ago")
    today = date.today()
    assert f"<h1>{today:%B %Y}</h1>" in browser.get(f"{PREFIX}/").text
    assert "Long ago" not in browser.get(f"{PREFIX}/agenda").text
    assert "Long ago" in browser.get(f"{PREFIX}/agenda/past").text


def test_migrating_again_changes_nothing(site: Site) -> None:
    """A second upgrade is a no-op, the models match the migrations, and the journal is WAL."""

    def dump() -> list[str]:
        with closing(sqlite3.connect(site.database)) as connection:
            return list(connection.iterdump())

    before = dump()
    assert "Running upgrade" not in site.flask("db", "upgrade")
    assert dump() == before
    assert "No new upgrade operations detected" in site.flask("db", "check")
    with closing(sqlite3.connect(site.database)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_it_stops_promptly_with_a_stream_open(tmp_path: Path) -> None:
    """An open stream ends cleanly when the process is asked to stop, and holds nothing up."""
    site = Site(tmp_path)
    site.start()
    assert site.process is not None
    with closing(Stream(site)) as stream:
        stream.next_line("retry: ")
        begin = time.monotonic()
        site.process.terminate()
        assert stream.response.read() == b"\n"
    site.stop()
    assert time.monotonic() - begin < 1.5
    assert site.process.returncode == 0


def test_a_worker_whose_parent_was_killed_goes_away(tmp_path: Path) -> None:
    """Not even a stream that stays open keeps an orphaned worker alive."""
    site = Site(tmp_path)
    site.environ["GUNICORN_CMD_ARGS"] = "--graceful-timeout 1"
    site.start()
    assert site.process is not None
    children = Path(f"/proc/{site.process.pid}/task/{site.process.pid}/children")
    worker = Path("/proc") / children.read_text().strip()
    with closing(Stream(site)) as stream:
        stream.next_line("retry: ")
        site.process.send_signal(signal.SIGKILL)
        site.process.wait(TIMEOUT)
        until(lambda: not worker.exists(), "the worker ends")


@pytest.mark.parametrize("path", ["/events/", "/day/", "/agenda?page=", "/api/events/"])
def test_what_does_not_exist_is_not_found(browser: Browser, path: str) -> None:
    """An address that names nothing answers 404, whatever number is in it."""
    assert browser.get(f"{PREFIX}{path}99999999999999999999").status == 404


class Served:
    """The calendars of examples/atc.yml, served by atc in a directory of their own; one of them is up."""

    TENANT = PREFIX.strip("/")

    def __init__(self, home: Path) -> None:
        self.home = home
        with closing(socket.create_server(("127.0.0.1", 0))) as found:
            port = found.getsockname()[1]
        text = ROOT.with_name("atc.yml").read_text().replace("root: calendar", f"root: {ROOT}").replace("../.atc/", "")
        (home / "atc.yml").write_text(text.replace("http_port: 8080", f"http_port: {port}, kill_timeout: 30s"))

    def atc(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.home / "log").open("ab") as log:
            return subprocess.Popen([sys.executable, "-m", "atcgen", *words], cwd=self.home, stdout=log, stderr=log)

    @property
    def socket(self) -> Path:
        plan = json.loads((self.home / ".atc/current/plan.json").read_text())
        return Path(next(each["link"] for each in plan["tenants"] if each["id"] == self.TENANT))

    @contextmanager
    def up(self) -> Iterator[Browser]:
        process = self.atc("run")
        try:
            until(lambda: self.atc("start", self.TENANT).wait(TIMEOUT) == 0, "the calendar starts")
            yield Browser(self)
        finally:
            process.terminate()
            process.wait(60)


@pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")
def test_an_attachment_outlives_the_machine() -> None:
    """With nothing left but the copies, it comes back with its event."""
    with tempfile.TemporaryDirectory(prefix="atc-") as home:
        served = Served(Path(home))
        with served.up() as browser:
            url = browser.add("Choir rehearsal")
            browser.submit(f"{url}/edit", f"{url}/edit", attachment=("plan.pdf", b"the plan"))
        for each in ("data", ".atc"):
            shutil.rmtree(served.home / each)

        with served.up() as browser:
            assert browser.get(f"{url}/attachment").body == b"the plan"
