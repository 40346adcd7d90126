"""Which machine answers: a request for a tenant of another machine never reaches one of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from atcgen.compiler.explain import explain
from tests.compiler.compiling import compiled, machine
from tests.compiler.real_nginx import Answer, ask, directory, free_port, require_nginx, serving, written

TWO_REGIONS = """\
app: {start: "serve ${socket}"}
users:
  bellevue:
    region: sea
    tenants: {2025/winter: {}, 2025/away: {region: iad}, 2025/host: {host: away.example, region: iad}}
  boston: {region: bos, tenants: {2025/april: {}, 2025/here: {region: sea}}}
  raleigh: {tenants: {2025/disney: {instance: m2}, 2025/house: {instance: m1}}}
routes:
  - {endpoint: /sam, database: sam, region: iad}
  - {endpoint: /sam/local, database: local}
  - {endpoint: /sa, database: sa}
"""
ROOT_HERE = TWO_REGIONS + "  - {name: index, app: {static: public, websocket: cable}}\n"
ROOT_AWAY = TWO_REGIONS + "  - {name: index, region: iad}\n"


def test_tenants_are_local_or_remote_by_region_and_machine() -> None:
    """A machine's own id wins over its region; what names no place is everywhere."""
    plan = compiled(TWO_REGIONS, machine(region="sea", instance="m1")).plan

    assert [each.id for each in plan.tenants] == [
        "bellevue/2025/winter",
        "boston/2025/here",
        "raleigh/2025/house",
        "sam/local",
        "sa",
    ]
    assert {each.id: each.target for each in plan.remotes} == {
        "bellevue/2025/away": "region=iad",
        "bellevue/2025/host": "region=iad",
        "boston/2025/april": "region=bos",
        "raleigh/2025/disney": "instance=m2",
        "sam": "region=iad",
    }


def test_a_machine_that_knows_no_place_owns_everything() -> None:
    """The same file serves a laptop."""
    plan = compiled(TWO_REGIONS).plan

    assert not plan.remotes
    assert len(plan.tenants) == 10


def test_a_level_that_names_a_place_replaces_the_one_above() -> None:
    """A tenant's region is not combined with its user's machine."""
    text = "users: {a: {instance: m2, tenants: {x: {region: sea}, y: {}}}}"

    plan = compiled(text, machine(region="sea", instance="m1")).plan

    assert [each.id for each in plan.tenants] == ["a/x"]
    assert [each.target for each in plan.remotes] == ["instance=m2"]


class Machine:
    """A running nginx, without agent and tenants: what it would hand to a tenant of its own ends in an error."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, path: str, host: str = "localhost") -> Answer:
        """Make a request."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            return ask(connection, path, host)
        finally:
            connection.close()

    def says(self, path: str, host: str = "localhost") -> str:
        """Where a request goes: `here`, a machine's name, or a status."""
        answer = self.ask(path, host)
        if answer.status == 307:
            return answer.headers["fly-replay"]
        assert "fly-replay" not in answer.headers
        return "here" if answer.status >= 500 else str(answer.status)


def running(text: str) -> Iterator[Machine]:
    """The machine m1 in the region sea, with a public directory."""
    require_nginx()
    port = free_port()
    with directory() as home:
        (home / "public").mkdir()
        (home / "public/logo.png").write_text("logo")
        (home / "public/bellevue").mkdir()
        (home / "public/boston").mkdir()
        (home / "public/boston/logo.png").write_text("not boston's")
        home.chmod(0o755)
        text = f"server: {{http_port: {port}, bind: 127.0.0.1}}\n{text}"
        host = machine(base=str(home), state=f"{home}/s", region="sea", instance="m1", nginx_version=(1, 18, 0))
        configuration = written(compiled(text, host))
        with serving(configuration, home / "log", Path(host.state, "run/nginx.sock")):
            yield Machine(port)


@pytest.fixture(scope="module")
def rootless() -> Iterator[Machine]:
    """Without a tenant at '/'."""
    yield from running(TWO_REGIONS)


@pytest.fixture(scope="module")
def rooted() -> Iterator[Machine]:
    """With one here."""
    yield from running(ROOT_HERE)


@pytest.fixture(scope="module")
def root_away() -> Iterator[Machine]:
    """With one on another machine."""
    yield from running(ROOT_AWAY)


EVERYWHERE = {
    "/bellevue/2025/winter/": "here",
    "/bellevue/2025/winter/deep/path.png": "here",
    "/bellevue/2025/winter": "308",
    "/bellevue/2025/away/": "region=iad",
    "/bellevue/2025/away": "region=iad",
    "/bellevue/2025/away/x?y=1": "region=iad",
    "/bellevue/2025/nobody/": "404",
    "/bellevue/": "404",
    "/bellevue": "404",
    "/boston/2025/april/": "region=bos",
    "/boston/2025/april": "region=bos",
    "/boston/": "region=bos",
    "/boston": "region=bos",
    "/boston/logo.png": "region=bos",
    "/boston/2025/april/cable": "region=bos",
    "//boston//2025/april/": "region=bos",
    "/%62oston/2025/april/": "region=bos",
    "/x/../boston/2025/april/": "region=bos",
    "/boston/2025/here/": "here",
    "/raleigh/2025/disney/": "instance=m2",
    "/raleigh/2025/house/": "here",
    "/sam/": "region=iad",
    "/sam": "region=iad",
    "/sam/locally/": "region=iad",
    "/sam/local/": "here",
    "/sa/": "here",
    "/up": "200",
    "/_atc/elsewhere": "404",
    "/_atc/elsewhere/replay": "404",
    "/_atc/elsewhere/steered": "404",
    "/_atc/wake": "404",
}


@pytest.mark.parametrize("path", EVERYWHERE)
def test_a_path_goes_to_its_machine(rootless: Machine, path: str) -> None:
    """Every path goes to the one tenant it belongs to, by the longest prefix on whole segments."""
    assert rootless.says(path) == EVERYWHERE[path]


@pytest.mark.parametrize("path", EVERYWHERE)
def test_a_tenant_at_the_root_takes_no_path_of_others(rooted: Machine, path: str) -> None:
    """Not even those that look like its files or its websocket."""
    assert rooted.says(path) == EVERYWHERE[path]


@pytest.mark.parametrize("path", ["/", "/nobody", "/samuel/", "/sab", "/cable", "/bellevues/2025/winter/"])
def test_paths_of_nobody(rootless: Machine, rooted: Machine, root_away: Machine, path: str) -> None:
    """They belong to the tenant at the root, wherever it is; without one they are a 404."""
    assert [rootless.says(path), rooted.says(path), root_away.says(path)] == ["404", "here", "region=iad"]


@pytest.mark.parametrize("path", [each for each in EVERYWHERE if not each.startswith("/_atc")])
@pytest.mark.parametrize("text", [TWO_REGIONS, ROOT_HERE])
def test_the_explanation_is_what_nginx_does(text: str, path: str) -> None:
    """The words of `atc explain` and the configuration say the same of every path."""
    plan = compiled(text, machine(region="sea", instance="m1")).plan
    said = explain(plan, path)
    short = {"tenant": "here", "static": "here", "replay": said.target, "redirect": "308", "health": "200"}

    assert short.get(said.answer, said.target) == EVERYWHERE[path]


@pytest.mark.parametrize(
    ("url", "answer", "target"),
    [
        ("http://here.example/x", "tenant", "unix:"),
        ("http://AWAY.example/x", "replay", "region=bos"),
        ("http://elsewhere.example/a/y/assets/x.css", "static", "/srv/app/assets/"),
        ("/a/y/logo.png", "tenant", "unix:"),
        ("/a/z/", "nobody", "404"),
        ("/b/z/", "nobody", "404"),
    ],
)
def test_urls_are_explained_by_host_and_path(url: str, answer: str, target: str) -> None:
    """A host wins over a path; files are named as well."""
    text = """\
app: {start: "serve ${socket}", static: {"": public, assets: assets}}
users:
  a: {tenants: {w: {host: here.example}, x: {host: away.example, region: bos}, y: {}}}
"""
    said = explain(compiled(text, machine(region="sea")).plan, url).to_json()

    assert said["answer"] == answer
    assert said["target"].startswith(target)
    assert ("/srv/app/public" in said["why"]) == url.endswith((".png", "here.example/x.png"))


def test_the_root_serves_its_own_files(rooted: Machine) -> None:
    """A file of the public directory needs no process."""
    assert rooted.ask("/logo.png").body == b"logo"


def test_a_host_of_another_machine_goes_there(rootless: Machine) -> None:
    """By name, whatever the path, without regard to case."""
    assert rootless.says("/", "away.example") == "region=iad"
    assert rootless.says("/bellevue/2025/winter/", "AWAY.example") == "region=iad"


def test_the_redirect_to_the_slash_keeps_the_query(rootless: Machine) -> None:
    """A bookmark without the slash still works."""
    assert rootless.ask("/sa?q=1").headers["location"] == "/sa/?q=1"
