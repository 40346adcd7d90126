"""Rails applications as tenants: how they are known, the rackup that mounts them, and the example, for real."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from atcgen.compiler.names import application_path
from atcgen.platforms.rails import PLATFORM
from tests.platforms.browser import Browser, read, urls_in_css
from tests.platforms.calendars import copied, rails_missing, subject
from tests.platforms.harness import verify
from tests.platforms.trees import Texts
from tests.system.running import Atc, serving_file

_SHIM = Path(__file__).parents[2] / "atcgen/platforms/shims/rails/prefix.ru"


def test_versions_are_told_from_the_lock_and_health_from_the_routes() -> None:
    """What `rails new` of several versions leaves behind."""
    six = _rails_new("6.1.7.10")
    seven = _rails_new("7.2.2") | {"config/routes.rb": 'get "up" => "rails/health#show", as: :rails_health_check'}
    eight = _rails_new("8.0.1", "solid_cable", "solid_cache", "solid_queue") | {
        "config/routes.rb": seven["config/routes.rb"]
    }

    found = [PLATFORM.detect(Texts(each)) for each in (six, seven, eight)]

    assert [each and each.because for each in found] == [
        f"rails {version} in Gemfile.lock" for version in ("6.1.7.10", "7.2.2", "8.0.1")
    ]
    assert [each and dict(each.app) for each in found] == [
        {},
        {"health": "/up"},
        {
            "health": "/up",
            "databases": ["db.sqlite3", "cache.sqlite3", "queue.sqlite3", "cable.sqlite3"],
            "env": {"SOLID_QUEUE_IN_PUMA": "1"},
            "restart": "hold",
        },
    ]


def test_what_is_no_rails_application_is_not_taken_for_one() -> None:
    """A gem for Rails, and Rack without Rails; an application that nobody has locked yet is one."""
    files = _rails_new("7.2.2")
    for missing in ("bin/rails", "config.ru"):
        assert PLATFORM.detect(Texts({name: text for name, text in files.items() if name != missing})) is None
    assert (
        PLATFORM.detect(Texts(files | {"Gemfile.lock": "GEM\n  specs:\n    rack (3.1.8)\n      rails (>= 1)\n"}))
        is None
    )
    unlocked = {"Gemfile": "source 'x'\ngem \"rails\", '~> 8.0'\n", "bin/rails": "#!", "config.ru": "run"}
    found = PLATFORM.detect(Texts(unlocked))
    assert found
    assert found.because == "rails in Gemfile"


def test_what_is_there_is_found_and_what_is_shared_is_said() -> None:
    """The database of production, and a Redis that all tenants would talk through."""
    cable = "development:\n  adapter: async\n\nproduction:\n  url: <%= ENV['REDIS_URL'] %>\n  adapter: redis\n"
    old = PLATFORM.detect(Texts(_rails_new("6.1.7") | {"db/production.sqlite3": "", "config/cable.yml": cable}))
    new = PLATFORM.detect(
        Texts(
            _rails_new("8.0.1")
            | {
                "storage/production.sqlite3": "",
                "config/cable.yml": "test:\n  adapter: redis\nproduction:\n  adapter: async\n",
            }
        )
    )

    assert old
    assert new
    assert (old.databases, len(old.says)) == (("db/production.sqlite3",), 1)
    assert (new.databases, new.says) == (("storage/production.sqlite3",), ())


def _rails_new(version: str, *gems: str) -> dict[str, str]:
    specs = "".join(f"    {each} (1.0.0)\n      railties (>= 7)\n" for each in gems)
    lock = f"GEM\n  specs:\n    rails ({version})\n      activesupport (= {version})\n{specs}"
    return {"Gemfile.lock": lock, "bin/rails": "#!/usr/bin/env ruby", "config.ru": "run Rails.application"}


_ECHO = 'run ->(env) { [200, {}, [env["SCRIPT_NAME"] + "|" + env["PATH_INFO"]]] }'
_ASK = """
parsed = Rack::Builder.parse_file(ARGV[0])
app = parsed.is_a?(Array) ? parsed.first : parsed
puts ARGV.drop(1).map { |path| Rack::MockRequest.new(app).get(path).then { |said| [said.status, said.body].join(" ") } }
"""


@pytest.mark.parametrize("rack", [2, 3])
@pytest.mark.parametrize(
    ("rackup", "prefix", "answers"),
    [
        (_ECHO, "/a/x", ["200 /a/x|/events", "404 Not Found: /events"]),
        (_ECHO, "", ["200 |/a/x/events", "200 |/events"]),
        (f"# map ENV['RAILS_RELATIVE_URL_ROOT']\n{_ECHO}", "/a/x", ["200 /a/x|/events", "404 Not Found: /events"]),
        (f"map(ENV['RAILS_RELATIVE_URL_ROOT']) {{ {_ECHO} }}", "/a/x", ["200 /a/x|/events", "404 Not Found: /events"]),
    ],
    ids=["unaware", "no prefix", "a comment", "mounts itself"],
)
def test_the_rackup_mounts_any_rack_application(
    tmp_path: Path, rack: int, rackup: str, prefix: str, answers: list[str]
) -> None:
    """Whatever the version of Rack gives back for a rackup file, and once only."""
    if subprocess.run(["ruby", "-rrack", "-e", "1"], capture_output=True, check=False).returncode:
        pytest.skip("ruby or rack is missing: run make calendar-rails")
    (tmp_path / "config.ru").write_text(rackup)
    as_three = "Rack::Builder.singleton_class.prepend(Module.new { def parse_file(*) = Array(super).first })"
    said = subprocess.run(
        ["ruby", "-rrack", "-e", (as_three if rack == 3 else "") + _ASK, str(_SHIM), "/a/x/events", "/events"],
        cwd=tmp_path,
        env=os.environ | {"RAILS_RELATIVE_URL_ROOT": prefix},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.splitlines() == answers


@pytest.fixture(scope="session")
def calendar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, installed in a copy."""
    if why := rails_missing():
        pytest.skip(why)
    return copied("rails", tmp_path_factory.mktemp("rails"))


@pytest.mark.system
def test_the_calendar_of_the_example(tmp_path: Path) -> None:
    """Everything that a browser sees of two tenants."""
    if why := rails_missing():
        pytest.skip(why)
    verify(subject("rails", tmp_path))


@pytest.fixture
def serving(calendar: Path) -> Iterator[Atc]:
    """A tenant below a path and one at a host, of a calendar that says when it prepares."""
    app = {
        "platform": "rails",
        "root": str(calendar),
        "prepare": "echo one >> ${tenant.dir}/prepares && bin/rails db:prepare",
    }
    users = {"a": {"tenants": {"x": None, "y": {"host": "fair.example"}}}}

    def write(port: int) -> str:
        server = {"http_port": port, "bind": "127.0.0.1", "hold": "10m"}
        return str(yaml.safe_dump({"server": server, "app": app, "users": users}))

    with serving_file(write) as atc:
        yield atc


@pytest.mark.system
def test_a_second_start_does_not_prepare(serving: Atc) -> None:
    """Rails is booted once then, and not twice."""
    prepares = Path(serving.plan().tenants[0].directory, "prepares")
    for _ in range(2):
        serving.cli("start", "a/x")
        assert serving.ask("/a/x/").status == 200
        assert prepares.read_text() == "one\n"
        serving.cli("stop", "a/x")


@pytest.mark.system
def test_pages_say_where_things_are_below_a_prefix_and_at_a_host(serving: Atc) -> None:
    """Action Cable, assets, and the images of stylesheets that were compiled once for all."""
    base = f"http://127.0.0.1:{serving.port}"
    for prefix, host in (("/a/x", f"127.0.0.1:{serving.port}"), ("", "fair.example")):
        page = serving.ask(f"{prefix}/", headers={"Host": host})
        assert page.status == 200, page.text
        assert f'<meta name="action-cable-url" content="{prefix}/cable" />' in page.text
        sheets = [each for each in read(f"{base}{prefix}/", 200, page.text).assets if each.endswith(".css")]
        assert [each.startswith(f"{base}{prefix}/assets/") for each in sheets] == [True]
        style = serving.ask(sheets[0].removeprefix(base), headers={"Host": host})
        (image,) = urls_in_css(sheets[0], style.text)
        shown = serving.ask(image.removeprefix(base), headers={"Host": host})
        assert (shown.status, shown.headers["content-type"]) == (200, "image/svg+xml")
        assert shown.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert serving.ask(f"{application_path(str(serving.plan().tenants[0].root))}/assets/").status in {403, 404}


@pytest.mark.system
def test_an_upload_is_the_tenants_own(serving: Atc) -> None:
    """Active Storage writes to storage/ of the application as ever, and it is in the tenant's directory."""
    browser = Browser("")
    form = browser.open(f"http://127.0.0.1:{serving.port}/a/x/events/new").form()
    plan = {"event[attachment]": ("plan.txt", b"who does what")}
    answer = browser.session.post(form.action, data=form.values("Planning"), files=plan, timeout=600)
    (link,) = (each for each in read(answer.url, answer.status_code, answer.text).links if "plan.txt" in each)

    assert browser.get(link).content == b"who does what"
    stored = Path(serving.plan().tenants[0].directory, "storage").rglob("*")
    assert [each.read_bytes() for each in stored if each.is_file()] == [b"who does what"]
