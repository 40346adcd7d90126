"""What nginx does with a request of a tenant that runs: headers, files, caches, streams."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection

import pytest

from tests.system.running import Atc, running, wait_until

pytestmark = pytest.mark.system

TWO_KINDS_OF_FILES = """
idle: 1h
users:
  a:
    tenants:
      x:
        app:
          static: {assets: {dir: "${ENV:HERE}/assets", immutable: true}}
          websocket: socket
      y:
        app: {static: "${ENV:HERE}/public"}
"""


@pytest.fixture(scope="module")
def atc() -> Iterator[Atc]:
    """One atc for the questions that change nothing: files in a public directory and in one with a prefix."""
    with running(TWO_KINDS_OF_FILES, environ={"HERE": "{home}"}) as started:
        for directory in ("assets", "public/assets", "private"):
            (started.home / directory).mkdir(parents=True)
        (started.home / "assets/site.css").write_text("a { color: red }\n" * 200)
        (started.home / "assets/ready.js").write_text("plain")
        (started.home / "assets/ready.js.gz").write_bytes(gzip.compress(b"packed"))
        (started.home / "public/robots.txt").write_text("robots")
        (started.home / "public/.secret.txt").write_text("secret")
        (started.home / "public/assets/app-0a1b2c3d4e.css").write_text("fingerprinted")
        yield started


def headers_at(atc: Atc, path: str, **headers: str) -> dict[str, str]:
    """The headers that reach the application."""
    said: dict[str, str] = json.loads(
        atc.ask(path, headers={key.replace("_", "-"): value for key, value in headers.items()}).text
    )
    return said


def test_the_path_passes_byte_for_byte(atc: Atc) -> None:
    """Escapes, doubled slashes and the query are the application's business."""
    path = "/a/x/r%C3%A4um%2Fe//x/../y/headers?q=a%20b&c=%2F"

    assert headers_at(atc, path)["path"] == path


def test_forwarding_headers_tell_the_truth_to_whom_nobody_vouches(atc: Atc) -> None:
    """Without trusted proxies a client cannot say where it comes from."""
    said = headers_at(
        atc,
        "/a/x/headers",
        X_Forwarded_For="192.0.2.1",
        X_Forwarded_Proto="https",
        X_Forwarded_Host="evil.example",
        X_Request_Id="chosen",
        Forwarded="for=192.0.2.1",
        Proxy="evil.example",
    )

    assert said["host"] == f"127.0.0.1:{atc.port}"
    assert said["x-forwarded-for"] == "127.0.0.1"
    assert said["x-forwarded-proto"] == "http"
    assert said["x-forwarded-host"] == f"127.0.0.1:{atc.port}"
    assert said["x-forwarded-prefix"] == "/a/x"
    assert re.fullmatch("[0-9a-z.-]{8,64}", said["x-request-id"])
    assert not {"forwarded", "proxy", "connection", "upgrade"} & said.keys()


def test_trusted_proxies_are_believed() -> None:
    """The client's address, scheme, host and request id come from the proxy in front."""
    with running("users: {a: {tenants: {x: {}}}}\n", server="trusted_proxies: [127.0.0.0/8]") as atc:
        atc.pid("/a/x/")
        said = headers_at(
            atc,
            "/a/x/headers",
            X_Forwarded_For="192.0.2.1",
            X_Forwarded_Proto="https",
            X_Forwarded_Host="shop.example",
            X_Request_Id="given-1",
        )
        wait_until(lambda: '"client":"192.0.2.1"' in (atc.home / ".atc/logs/access/a.x.log").read_text())

    assert said["x-forwarded-for"] == "192.0.2.1, 127.0.0.1"
    assert said["x-forwarded-proto"] == "https"
    assert said["x-forwarded-host"] == "shop.example"
    assert said["x-request-id"] == "given-1"


def test_request_ids_differ_and_every_request_has_a_line_of_json(atc: Atc) -> None:
    """The log names the tenant, the status, the bytes and the times, and the id the application was told."""
    first, second = headers_at(atc, "/a/x/headers"), headers_at(atc, "/a/x/headers")
    assert first["x-request-id"] != second["x-request-id"]
    file = atc.home / ".atc/logs/access/a.x.log"

    wait_until(lambda: second["x-request-id"] in file.read_text())

    line = next(json.loads(each) for each in file.read_text().splitlines() if second["x-request-id"] in each)
    assert (line["tenant"], line["status"], line["uri"]) == ("a.x", 200, "/a/x/headers")
    assert line["bytes"] > 0
    assert float(line["upstream_time"]) >= 0


def test_cookies_and_redirects_stay_below_the_prefix(atc: Atc) -> None:
    """An application that forgets its prefix neither collides with its neighbours nor loses its visitor."""
    answer = atc.ask("/a/x/login")

    assert answer.headers["set-cookie"].startswith("session=1; Path=/a/x")
    assert answer.headers["location"] == "/a/x/"


def test_files_with_a_prefix_of_their_own_are_sent_by_nginx(atc: Atc) -> None:
    """Compressed, cached for good where they never change, and without waking anybody."""
    starts = atc.starts()
    answer = atc.ask("/a/x/assets/site.css", headers={"Accept-Encoding": "gzip"})

    assert (answer.status, answer.headers["content-type"]) == (200, "text/css")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert gzip.decompress(answer.body).startswith(b"a { color: red }")
    assert gzip.decompress(atc.ask("/a/x/assets/ready.js", headers={"Accept-Encoding": "gzip"}).body) == b"packed"
    assert atc.ask("/a/x/assets/ready.js").body == b"plain"
    assert atc.ask("/a/x/assets/missing.css").status == 404
    assert atc.starts() == starts


def test_a_public_directory_is_sent_by_nginx_and_the_rest_by_the_application(atc: Atc) -> None:
    """Hidden files are not for anybody; fingerprinted ones are kept for good."""
    fingerprinted = atc.ask("/a/y/assets/app-0a1b2c3d4e.css")

    assert atc.ask("/a/y/robots.txt").text == "robots"
    assert fingerprinted.text == "fingerprinted"
    assert fingerprinted.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "secret" not in atc.ask("/a/y/.secret.txt").text
    assert "robots" not in atc.ask("/a/y/%2e%2e/robots.txt").text
    assert atc.ask("/a/y/not-there.txt").text.startswith("a/y ")
    assert atc.ask("/a/y/").text.startswith("a/y ")


def test_public_answers_are_cached_and_private_ones_are_not(atc: Atc) -> None:
    """And what one tenant answered is never another's."""
    first, second = atc.ask("/a/x/cached.css"), atc.ask("/a/x/cached.css")

    assert first.text == second.text
    assert atc.ask("/a/y/cached.css").text != first.text
    private = "/a/x/cached.css?control=private"
    assert atc.ask(private).text != atc.ask(private).text


def test_text_is_compressed_and_pictures_are_not(atc: Atc) -> None:
    """For clients that accept it."""
    accepting = {"Accept-Encoding": "gzip"}

    assert atc.ask("/a/x/large?size=5000", headers=accepting).headers["content-encoding"] == "gzip"
    assert "content-encoding" not in atc.ask("/a/x/large?size=5000&type=image/png", headers=accepting).headers
    assert "content-encoding" not in atc.ask("/a/x/large?size=5000").headers


def test_the_application_may_have_its_own_files_sent_and_no_others(atc: Atc) -> None:
    """By X-Accel-Redirect; the same URL is nothing to a client, and other tenants' data is out of reach."""
    data = atc.home / "data/a.x/report.txt"
    atc.pid("/a/x/")
    data.write_text("mine")

    assert atc.ask(f"/a/x/file?path={data}").text == "mine"
    assert atc.ask("/_atc/files/a.x/report.txt").status == 404
    assert atc.ask(f"/a/y/file?path={data}").status == 500


def test_uploads_of_any_size_arrive_whole(atc: Atc) -> None:
    """Also when they have to wait for the tenant to wake up."""
    body = os.urandom(5_000_000)
    atc.cli("stop", "a/x")

    answer = atc.ask("/a/x/upload", "POST", body)

    assert answer.text == f"{len(body)} {hashlib.sha256(body).hexdigest()}"


def test_events_arrive_as_they_are_sent(atc: Atc) -> None:
    """The first one is there while the application has not sent the second."""
    gate = atc.home / "gate"
    with closing(HTTPConnection("127.0.0.1", atc.port, timeout=30)) as connection:
        connection.request("GET", f"/a/x/events?count=2&gate={gate}")
        with connection.getresponse() as answer:
            assert answer.readline() == b"data: 0\n"
            gate.touch()
            assert answer.read() == b"\ndata: 1\n\n"


@pytest.mark.parametrize("path", ["/a/x/socket", "/a/y/socket"])
def test_websockets_pass_both_ways(atc: Atc, path: str) -> None:
    """With the path declared in atc.yml and without; also as the request that wakes the tenant."""
    atc.cli("stop", path.strip("/").removesuffix("/socket"))
    with socket.create_connection(("127.0.0.1", atc.port), timeout=30) as sock:
        sock.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += sock.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer

        sock.sendall(b"there and back")
        assert sock.recv(4096) == b"there and back"


def test_the_health_path_wakes_nobody(atc: Atc) -> None:
    """Platforms ask it every few seconds."""
    starts = atc.starts()

    assert atc.ask("/up").text == "ok\n"
    assert atc.starts() == starts


def test_atcs_own_paths_are_closed(atc: Atc) -> None:
    """Nobody asks the agent through the front door."""
    for path in (
        "/_atc/wake",
        "/_atc/lost",
        "/_atc/replay",
        "/_atc/page/502.html",
        f"{atc.plan().tenants[0].app_files[0].location}application.py",
    ):
        assert atc.ask(path).status == 404, path


def test_tenants_with_hosts_of_their_own_answer_there() -> None:
    """At the root of the host, and nowhere else."""
    text = "users: {a: {tenants: {x: {host: winter.example}, y: {}}}}\n"
    with running(text) as atc:
        said = headers_at(atc, "/headers", Host="winter.example")

        assert said["host"] == "winter.example"
        assert atc.ask("/", headers={"Host": "winter.example"}).text.startswith("a/x ")
        assert atc.ask("/a/x/").status == 404
        assert atc.ask("/a/y/").text.startswith("a/y ")


def test_a_body_above_the_limit_is_refused_with_a_page() -> None:
    """Before the application sees any of it."""
    with running("users: {a: {tenants: {x: {}}}}\n", server="max_request_body: 1KB") as atc:
        answer = atc.ask("/a/x/", "POST", b"x" * 1025)

        assert answer.status == 413
        assert b"<html" in answer.body
        assert atc.notes() == []
