"""An application that knows of no prefix, below one: it sees paths without it, and clients see addresses with it."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.system.running import Atc, running, wait_until
from tests.system.unaware import PAGE, STYLE

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
P = "/a/2025/x"
# What becomes of the page and of the stylesheet, address by address.
ADDRESSES = {
    "rel=stylesheet href=/bare.css": f"rel=stylesheet href={P}/bare.css",
    'href="/style.css"': f'href="{P}/style.css"',
    "60; url=/later": f"60; url={P}/later",
    "data-url='/live'": f"data-url='{P}/live'",
    'href="/events/new?q=/a"': f'href="{P}/events/new?q=/a"',
    "href='/quoted'": f"href='{P}/quoted'",
    'HREF="/upper"': f'href="{P}/upper"',
    'href="/next-line"': f'href="{P}/next-line"',
    'href="/">home': f'href="{P}/">home',
    'form action="/events"': f'form action="{P}/events"',
    'formaction="/events/2"': f'formaction="{P}/events/2"',
    'img src="/a.png" srcset="/a.png 1x"': f'img src="{P}/a.png" srcset="{P}/a.png 1x"',
    'hx-get="/part"': f'hx-get="{P}/part"',
    "url(/b.png)": f"url({P}/b.png)",
    "<!DOCTYPE html>": f'<!doctype html><script src="{P}/_atc/prefix.js"></script>',
}
STYLES = {
    '@import "/more.css"': f'@import "{P}/more.css"',
    "url(/icon.svg)": f"url({P}/icon.svg)",
    'url("/q.svg")': f'url("{P}/q.svg")',
    "url('/s.svg')": f"url('{P}/s.svg')",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Atc]:
    """Tenants below a prefix that is taken away, one that keeps it, and one with a host."""
    public = tmp_path_factory.mktemp("public")
    (public / "site.css").write_text(STYLE)
    (public / "site.css.gz").write_bytes(gzip.compress(STYLE.encode()))
    (public / "photo.bin").write_bytes(bytes(range(256)))
    app = {
        "prefix": "strip",
        "start": f"{sys.executable} -m tests.system.unaware ${{socket}}",
        "health": "/raw",
        "websocket": "socket",
        "static": {"": str(public), "assets": str(public)},
        "env": {"PYTHONPATH": str(ROOT)},
    }
    tenants = {"2025/x": {}, "y": {}, "z": {"app": {"prefix": "keep", "health": "/raw"}}, "h": {"host": "h.example"}}
    with running(f"idle: 1h\nusers: {json.dumps({'a': {'app': app, 'tenants': tenants}})}\n") as atc:
        yield atc


def replaced(text: str, by: dict[str, str]) -> str:
    """The text with every key replaced by its value."""
    for old, new in by.items():
        assert old in text
        text = text.replace(old, new)
    return text


def raw(site: Atc, path: str, host: str = "localhost") -> dict[str, str]:
    """What the application saw of a request."""
    seen: dict[str, str] = json.loads(site.ask(path, headers={"Host": host}).text)
    return seen


def test_the_application_sees_the_path_below_the_prefix_as_it_was_spelt(site: Atc) -> None:
    """Byte for byte, asleep and awake; its health was asked without the prefix, or nothing would answer here."""
    site.cli("stop", "a/2025/x")
    for path in ("/a%2Fb%20c/raw?q=%2F&r=a+b", "/%C3%A9/raw?", "/a;b=c/~x//raw", "/raw", "/?x=//raw"):
        if path == "/?x=//raw":
            assert site.ask(P + path).status == 200
        else:
            assert raw(site, P + path) == {"path": path, "prefix": P}
    assert raw(site, "/a/y/raw") == {"path": "/raw", "prefix": "/a/y"}


def test_a_prefix_that_is_spelt_in_another_way_is_one_too(site: Atc) -> None:
    """What is below it then comes in the usual spelling."""
    assert raw(site, "//a/2025/./x/%62%2F%20c/raw?q=%2F") == {"path": "/b/%20c/raw?q=%2F", "prefix": P}
    assert raw(site, "/a/y/../2025/x/raw") == {"path": "/raw", "prefix": P}
    assert site.ask("//a/2025/x/upload", "POST", b"body").text.startswith("4 ")


def test_who_keeps_the_prefix_or_has_none_is_left_alone(site: Atc) -> None:
    """Beside tenants that lose theirs."""
    assert raw(site, "/a/z/raw")["path"] == "/a/z/raw"
    assert raw(site, "/a%2Fb/raw", "h.example")["path"] == "/a%2Fb/raw"
    assert site.ask("/a/z/page").text == PAGE
    assert site.ask("/page", headers={"Host": "h.example"}).text == PAGE
    packed = site.ask("/a/z/page", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.body if packed.body[:2] == b"\x1f\x8b" else b"").decode() == PAGE


@pytest.mark.parametrize("path", ["/page", "/page?times=400"])
def test_addresses_of_a_page_get_the_prefix(site: Atc, path: str) -> None:
    """All of them, and nothing else; one that falls between two buffers as well, and one of a page that is packed."""
    times = int(path.partition("=")[2] or 1)
    wanted = replaced(PAGE, ADDRESSES) * times

    assert site.ask(P + path).text == wanted
    packed = site.ask(P + path, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body).decode() == wanted


def test_a_page_that_wakes_its_tenant_is_mended_too(site: Atc) -> None:
    """It comes by way of the agent."""
    site.cli("stop", "a/2025/x")
    assert site.ask(f"{P}/page").text == replaced(PAGE, ADDRESSES)
    site.cli("stop", "a/2025/x")
    assert site.ask(f"{P}/go?to=/there").headers["location"] == f"{P}/there"


@pytest.mark.parametrize("path", ["/style.css", "/site.css", "/assets/site.css"])
def test_addresses_of_a_stylesheet_get_the_prefix(site: Atc, path: str) -> None:
    """Whether the application sends it or nginx, which then does not send a packed one that lies there."""
    assert site.ask(P + path).text == replaced(STYLE, STYLES)
    packed = site.ask(P + path, headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.body).decode() == replaced(STYLE, STYLES)


def test_what_is_kept_or_not_a_page_stays_as_it_is(site: Atc) -> None:
    """Downloads, scripts, parts; nginx may write what it looks for in small letters."""
    assert site.ask(f"{P}/kept").text.lower() == PAGE.lower()
    assert site.ask(f"{P}/script.js").text == PAGE
    part = site.ask(f"{P}/page", headers={"Range": "bytes=0-99"})
    assert (part.status, part.text.lower()) == (206, PAGE[:100].lower())
    photo = site.ask(f"{P}/photo.bin", headers={"Range": "bytes=10-19"})
    assert (photo.status, photo.body) == (206, bytes(range(10, 20)))


def test_what_a_client_has_is_not_sent_again(site: Atc) -> None:
    """A tag is kept, as a weak one; HEAD says what GET does."""
    page = site.ask(f"{P}/page")
    tag = page.headers["etag"]

    assert tag == 'W/"one"'
    assert site.ask(f"{P}/page", headers={"If-None-Match": tag}).status == 304
    head = site.ask(f"{P}/page", "HEAD")
    assert (head.status, head.body, head.headers["etag"]) == (200, b"", tag)
    style = site.ask(f"{P}/assets/site.css")
    assert site.ask(f"{P}/assets/site.css", headers={"If-None-Match": style.headers["etag"]}).status == 304


@pytest.mark.parametrize(
    ("to", "location"),
    [
        ("/events", f"{P}/events"),
        ("/", f"{P}/"),
        ("/a", f"{P}/a"),
        (f"{P}/events?x=1", f"{P}/events?x=1"),
        ("/a/2025/xyz", f"{P}/a/2025/xyz"),
        ("events", "events"),
        ("?page=2", "?page=2"),
        ("//other.example/x", "//other.example/x"),
        ("https://other.example/x", "https://other.example/x"),
        ("http://localhost/events", f"http://localhost{P}/events"),
        ("https://LOCALHOST/events", f"https://LOCALHOST{P}/events"),
        (f"http://localhost{P}/events", f"http://localhost{P}/events"),
        ("http://localhost", f"http://localhost{P}"),
        ("http://localhost.other.example/x", "http://localhost.other.example/x"),
    ],
)
def test_redirects_stay_below_the_prefix(site: Atc, to: str, location: str) -> None:
    """Those to other hosts, and those that have it already, as they are."""
    answer = site.ask(f"{P}/go?to={to.replace('?', '%3F')}", headers={"Host": "localhost"})
    assert answer.headers["location"] == location


@pytest.mark.parametrize(
    ("path", "becomes"), [("/", P), ("/admin", f"{P}/admin"), (f"{P}/admin", f"{P}/admin"), (P, P)]
)
def test_cookies_stay_below_the_prefix(site: Atc, path: str, becomes: str) -> None:
    """Or tenants of one host would read each other's."""
    assert f"Path={becomes};" in site.ask(f"{P}/go?to=/&path={path}").headers["set-cookie"]


def test_the_bare_prefix_is_redirected(site: Atc) -> None:
    """As without `strip`."""
    answer = site.ask(f"{P}?q=1")
    assert (answer.status, answer.headers["location"]) == (308, f"{P}/?q=1")


def test_an_upload_arrives_whole(site: Atc) -> None:
    """Asleep and awake."""
    body = os.urandom(3_000_000)
    for _ in range(2):
        said = site.ask(f"{P}/upload", "POST", body).text
        assert said == f"{len(body)} {hashlib.sha256(body).hexdigest()}"
        site.cli("stop", "a/2025/x")


def test_events_arrive_as_they_are_sent(site: Atc) -> None:
    """The first one is there while the application has not sent the second."""
    gate = site.home / "gate"
    with closing(HTTPConnection("127.0.0.1", site.port, timeout=30)) as connection:
        connection.request("GET", f"{P}/events?count=2&gate={gate}")
        with connection.getresponse() as answer:
            assert answer.readline() == b"data: 0\n"
            gate.touch()
            assert answer.read() == b"\ndata: 1\n\n"


@pytest.mark.parametrize("path", ["/socket", "/other/socket"])
def test_websockets_pass_both_ways(site: Atc, path: str) -> None:
    """With the path declared in atc.yml and without; also as the request that wakes the tenant."""
    site.cli("stop", "a/2025/x")
    with socket.create_connection(("127.0.0.1", site.port), timeout=30) as sock:
        sock.sendall(
            f"GET {P}{path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += sock.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101 ")
        sock.sendall(b'there href="/and" back')
        assert sock.recv(4096) == b'there href="/and" back'


def test_files_that_the_application_names_are_sent(site: Atc) -> None:
    """As they are: what somebody uploaded is not mended."""
    file = Path(site.plan().tenants[0].directory) / "mine.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(PAGE)
    assert site.ask(f"{P}/file?path={file}").text == PAGE


def test_a_page_that_is_nobodys_is_looked_for_where_the_request_comes_from(site: Atc) -> None:
    """Scripts and stylesheets whose addresses nginx could not mend; never by what another host says."""
    here = f"http://localhost:{site.port}"

    def asked(path: str, referer: str, method: str = "GET") -> tuple[int, str]:
        headers = {"Host": f"localhost:{site.port}", "Referer": referer}
        answer = site.ask(path, method, headers=headers)
        return answer.status, answer.headers.get("location", "")

    assert asked("/raw?q=%2F", f"{here}{P}/page") == (307, f"{P}/raw?q=%2F")
    assert asked("/upload", f"{here}/a/y/", "POST") == (307, "/a/y/upload")
    for referer in (f"{here}/a/z/page", f"{here}/a/2025/other/", f"http://other.example{P}/", here, f"{here}{P}"):
        assert asked("/raw", referer) == (404, ""), referer


def test_the_script_for_scripts_is_there(site: Atc) -> None:
    """Below each prefix, and not where none is taken away."""
    answer = site.ask(f"{P}/_atc/prefix.js")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/javascript")
    assert "WebSocket" in answer.text
    assert site.ask("/a/y/_atc/prefix.js").text == answer.text
    assert "WebSocket" not in site.ask("/a/z/_atc/prefix.js").text


def test_pages_of_nginx_are_shown(site: Atc) -> None:
    """When it cannot start."""
    site.cli("stop", "a/2025/x")
    site.edit('"2025/x": {}', '"2025/x": {"app": {"env": {"FAIL": "no"}}}')
    wait_until(lambda: "FAIL" in str(site.plan().tenants[0].env))
    wait_until(lambda: site.ask(f"{P}/page").status == 503)
    answer = site.ask(f"{P}/page", headers={"Accept": "text/html"})
    assert "retry-after" in answer.headers
    assert "/_atc/prefix.js" not in answer.text
