"""The script that says for a page's scripts what nginx says for its elements."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SCRIPT = HERE.parents[1] / "nginx/prefix.js.j2"  # which is printed as it is
HOST = "https://shows.example:8443"
P = "/a/2025/x"

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")


def ran(script: str) -> tuple[list[list[str]], Any]:
    """What the window was asked by a script of `(window, {clicked, sent}) => …`, and what that returned."""
    words = ["node", str(HERE / "prefix_script.mjs"), str(SCRIPT)]
    done = subprocess.run(words, input=script, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return found["notes"], found.get("said")


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("/api/events?x=/1#y", f"{HOST}{P}/api/events?x=/1#y"),
        ("/a%2Fb", f"{HOST}{P}/a%2Fb"),
        (f"{HOST}/api", f"{HOST}{P}/api"),
        (f"{P}/api", f"{P}/api"),
        (P, P),
        ("api", "api"),
        ("../../up", "../../up"),
        ("?page=2", "?page=2"),
        ("//other.example/x", "//other.example/x"),
        ("https://shows.example/x", "https://shows.example/x"),
        ("blob:https://shows.example:8443/1", "blob:https://shows.example:8443/1"),
        ("data:text/plain,/x", "data:text/plain,/x"),
        ("https://[", "https://["),
        (f"{P}yz/api", f"{HOST}{P}{P}yz/api"),
    ],
)
def test_an_address_means_what_it_does_in_a_page(address: str, meant: str) -> None:
    """Only those of this host that lack the prefix change."""
    assert ran(f"(w) => w.fetch({address!r}, 'rest')")[0] == [["fetch", meant, "rest"]]


def test_everything_that_takes_an_address_is_mended() -> None:
    """The rest of its arguments, what it belongs to and its constants stay."""
    notes, said = ran(
        """(w) => {
          new w.XMLHttpRequest().open("GET", "/1", true);
          new w.History().pushState(null, "", "/2");
          new w.History().replaceState(null, "");
          new w.Navigator().sendBeacon(new URL("/3", w.location), "x");
          new w.ServiceWorkerContainer().register("/sw.js", {scope: "/"});
          new w.EventSource("/4");
          new w.Request("/5", "x");
          new w.Worker("/6");
          w.open("/7", "_blank");
          const socket = new w.WebSocket("wss://" + w.location.host + "/live");
          new w.WebSocket("wss://other.example/live");
          return [socket instanceof w.WebSocket, w.WebSocket.OPEN];
        }"""
    )
    assert notes == [
        ["open", "GET", f"{HOST}{P}/1", "true"],
        ["pushState", "null", "", f"{HOST}{P}/2"],
        ["replaceState", "null", ""],
        ["sendBeacon", f"{HOST}{P}/3", "x"],
        ["register", f"{HOST}{P}/sw.js", f"{HOST}{P}/"],
        ["EventSource", f"{HOST}{P}/4"],
        ["Request", f"{HOST}{P}/5", "x"],
        ["Worker", f"{HOST}{P}/6"],
        ["window.open", f"{HOST}{P}/7", "_blank"],
        ["WebSocket", f"wss://shows.example:8443{P}/live"],
        ["WebSocket", "wss://other.example/live"],
    ]
    assert said == [True, 1]


def test_a_cookie_of_a_script_stays_below_the_prefix() -> None:
    """As one of an answer does."""
    notes, said = ran(
        f"""(w) => {{
          for (const path of ["; path=/", ";Path=/; Secure", "; path=/admin", "; path={P}/x", ""])
            w.document.cookie = "a=1" + path;
          return w.document.cookie;
        }}"""
    )
    paths = [f"; path={P}", f";Path={P}; Secure", f"; path={P}/admin", f"; path={P}/x", ""]
    assert notes == [["cookie", f"a=1{each}"] for each in paths]
    assert said == "read=1"


def test_links_and_forms_that_a_script_made_are_mended_when_they_are_used() -> None:
    """nginx has not seen them."""
    _, said = ran(
        """(w, {clicked, sent}) => [
          clicked({href: "/x"}), clicked({href: "x"}), clicked({href: "https://other.example/"}),
          sent({action: "/save"}), sent({}, {formaction: "/delete"}),
        ]"""
    )
    assert said == [
        f"{HOST}{P}/x",
        "x",
        "https://other.example/",
        [f"{HOST}{P}/save", None],
        [None, f"{HOST}{P}/delete"],
    ]
