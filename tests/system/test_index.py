"""The page at '/' that lists the tenants, as nginx serves it."""

from __future__ import annotations

import re

import pytest

from tests.system.running import running, wait_until

pytestmark = pytest.mark.system

TENANTS = """\
idle: 1h
users:
  a: {name: "Sam & <b>", tenants: {x: {name: "<!--# echo var='uri' -->"}}}
  b: {tenants: {y: {host: y.example}}}
"""


def test_it_lists_every_tenant_and_wakes_nobody() -> None:
    """Escaped; a host is on the port that was asked."""
    with running(TENANTS, server="index: true") as atc:
        page = atc.ask("/")
        links = re.findall(r'href="([^"]*)"', page.text)

        assert (page.status, page.headers["content-type"]) == (200, "text/html")
        assert links == [f"//y.example:{atc.port}/", "/a/x/"]
        assert "<h2>Sam &amp; &lt;b&gt;</h2>" in page.text
        assert "&lt;!--# echo var=&#x27;uri&#x27; --&gt;" in page.text
        assert "<script" not in page.text
        assert atc.ask("/", "HEAD").status == 200
        assert atc.ask("/_atc/tenants").status == 404
        assert atc.ask("/nothing").status == 404
        assert atc.starts() == 0


def test_it_follows_an_edit_without_a_reload() -> None:
    """And a tenant at '/' is that page instead."""
    with running(TENANTS, server="index: true") as atc:
        version = atc.plan().server
        nginx = atc.pid_of("atc-nginx")
        atc.edit("name: \"Sam & <b>\"", "name: Samuel")
        wait_until(lambda: "<h2>Samuel</h2>" in atc.ask("/").text)
        assert (atc.plan().server, atc.pid_of("atc-nginx")) == (version, nginx)
        atc.edit("users:", "routes: [{endpoint: /}]\nusers:")
        wait_until(lambda: atc.ask("/").status == 200 and "<h1>" not in atc.ask("/").text)


def test_the_owners_page_holds_the_list() -> None:
    """Ours is there until it is, and when it goes."""
    with running(TENANTS, server="index: home.html") as atc:
        assert "<h1>Welcome</h1>" in atc.ask("/").text
        home = atc.home / "home.html"
        home.write_text('<h1>Mine</h1><!--# include virtual="/_atc/tenants" -->')
        page = atc.ask("/").text
        assert page.startswith("<h1>Mine</h1>")
        assert 'href="/a/x/"' in page
        home.unlink()
        assert "<h1>Welcome</h1>" in atc.ask("/").text
