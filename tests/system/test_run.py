"""`atc run` as an entrypoint: what it refuses, what it prints, and one application without a file."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.system.running import APPLICATION, Atc, free_port, running, wait_until

pytestmark = pytest.mark.system

ALONE = {
    "HTTP_PORT": "{port}",
    "TARGET_PORT": "0",
    "STARTS": "{home}/starts",
    "NOTES": "{home}/notes",
    "OWNER": "alone",
}


def alone(**environ: str) -> dict[str, str]:
    """The environment of one application without a file."""
    return {**ALONE, "TARGET_PORT": str(free_port()), **environ}


COMMAND = ("--", sys.executable, str(APPLICATION))


def test_a_second_atc_with_the_same_state_is_refused(atc: Atc) -> None:
    """It says so, and the first one goes on."""
    second = atc.cli("run", check=False)

    assert second.returncode == 3
    assert "atc runs already" in second.stderr
    assert atc.get("/a/x/")[0] == 200


def test_a_port_that_is_taken_is_refused_with_the_way_out(tmp_path: Path) -> None:
    """Before anything is started."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (tmp_path / "atc.yml").write_text(
            f"server: {{http_port: {port}, bind: 127.0.0.1}}\nusers: {{a: {{tenants: {{x: {{}}}}}}}}\n"
        )

        said = subprocess.run(
            [sys.executable, "-m", "atcgen", "run"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    assert said.returncode == 3
    assert f"cannot listen on 127.0.0.1:{port}: the port is in use" in said.stderr
    assert "server.http_port" in said.stderr


def test_a_bad_file_is_refused_with_every_error(tmp_path: Path) -> None:
    """Exit code 1, and no state directory full of leftovers that run."""
    (tmp_path / "atc.yml").write_text("usrs: {}\nidle: soon\n")

    said = subprocess.run(
        [sys.executable, "-m", "atcgen", "run"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30
    )

    assert said.returncode == 1
    assert "atc.yml:1:1: error: unknown key 'usrs'" in said.stderr
    assert "error: idle.tenant: 'soon' must be a duration" in said.stderr
    assert not (tmp_path / ".atc/current").exists()


def test_it_prints_the_tenants_and_what_happens_to_them(atc: Atc) -> None:
    """A line per tenant with its URL and state, then its life."""
    atc.get("/a/x/")
    printed = atc.home / "log"

    wait_until(lambda: "tenant.ready tenant=a/x" in printed.read_text())

    lines = [line.split() for line in printed.read_text().splitlines()]
    assert [f"http://localhost:{atc.port}/a/y/", "stopped"] in [line[:2] for line in lines]


def test_one_application_without_a_file_is_served_at_the_root() -> None:
    """PORT is set, every path is the application's, headers of a proxy in front are passed on."""
    with running("", words=COMMAND, environ=alone()) as atc:
        environment = json.loads(atc.ask("/environment").text)
        headers = json.loads(atc.ask("/headers", headers={"X-Forwarded-For": "192.0.2.1"}).text)

        assert environment["PORT"].isdigit()
        assert atc.get("/up")[1].startswith("alone ")
        assert headers["x-forwarded-for"] == "192.0.2.1, 127.0.0.1"
        wait_until(lambda: "agent.ready" in (atc.home / "log").read_text())


def test_one_application_is_compressed_cached_and_limited_as_thruster_does() -> None:
    """Its variables are heeded, with and without their prefix."""
    environ = alone(THRUSTER_MAX_REQUEST_BODY="1000", MAX_CACHE_ITEM_SIZE="5000", BAD_GATEWAY_PAGE="oops.html")
    with running("", words=COMMAND, environ=environ) as atc:
        compressed = atc.ask("/large?size=5000", headers={"Accept-Encoding": "gzip"})
        cached = [atc.ask("/cached.css").text for _ in range(2)]
        too_large = [atc.ask("/cached.css?size=6000").text for _ in range(2)]
        private = [atc.ask("/cached.css?control=private").text for _ in range(2)]

        assert compressed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(compressed.body) == b"x" * 5000
        assert cached[0] == cached[1]
        assert too_large[0] != too_large[1]
        assert private[0] != private[1]
        assert atc.ask("/", "POST", b"x" * 1001).status == 413
        (atc.home / "oops.html").write_text("<h1>Oops</h1>")
        oops = atc.ask("/exit", "POST", b"x", {"Accept": "text/html"})
        assert (oops.status, oops.text) == (502, "<h1>Oops</h1>")


def test_one_application_has_its_files_sent_by_nginx() -> None:
    """X-Sendfile in thruster's way: the application names a file below its root."""
    with running("", words=COMMAND, environ=alone()) as atc:
        (atc.home / "report.bin").write_bytes(bytes(range(256)) * 100)

        answer = atc.ask(f"/file?path={atc.home}/report.bin")

        assert answer.status == 200
        assert answer.body == bytes(range(256)) * 100
        assert "x-accel-redirect" not in answer.headers


def test_tls_of_its_own_is_refused_in_so_many_words(tmp_path: Path) -> None:
    """A certificate that nobody would fetch must not be a surprise in production."""
    said = subprocess.run(
        [sys.executable, "-m", "atcgen", "run", "--", "true"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "TLS_DOMAIN": "example.com"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert said.returncode == 1
    assert "TLS_DOMAIN" in said.stderr


def test_one_application_needs_no_directory_to_write_to() -> None:
    """As in a container whose user owns nothing: the state directory holds what there is."""
    with running("", words=COMMAND, environ=alone()) as atc:
        assert atc.get("/")[1].startswith("alone ")
        assert not (atc.home / "data").exists()
