"""What `atc init` writes: it compiles without a word, it is commented, and doing it twice is doing it once."""

from __future__ import annotations

import pytest
import yaml

from atcgen.errors import Unavailable
from atcgen.init.docker import runs_atc
from atcgen.init.proposal import Proposal, propose
from atcgen.init.survey import survey
from atcgen.init.written import TWO, Wanted
from tests.compiler.compiling import compiled, complaints, machine
from tests.platforms.trees import Texts

PROCFILE = {"Procfile": "release: bin/x\nweb: bin/serve --port $PORT --in ${HOME}\n"}
ONE = Wanted()
MANY = Wanted(TWO)


def proposed(files: dict[str, str], wanted: Wanted = ONE, start: str = "", *, replaces: bool = False) -> Proposal:
    """What would be written beside some files."""
    tree = Texts(files)
    return propose(tree, survey(tree, start=start), wanted, replaces=replaces)


def applied(files: dict[str, str], wanted: Wanted = ONE, start: str = "") -> dict[str, str]:
    """The files after that."""
    return files | {each.path: each.after for each in proposed(files, wanted, start).changes}


def test_an_application_that_says_how_it_is_started() -> None:
    """One tenant at '/', the application one directory up, the data where no release is."""
    files = applied(PROCFILE)
    text = files["config/atc.yml"]
    host = machine(base="/srv/app/config", state="/srv/app/config/.atc")

    assert complaints(text, host) == ()
    (tenant,) = compiled(text, host).plan.tenants
    assert (tenant.path, tenant.root, tenant.directory) == ("", "/srv/app", "/srv/app/data/_root")
    assert tenant.start[:2] == ("/bin/sh", "-c")
    assert "bin/serve --port $PORT --in ${HOME}" in tenant.start[2]
    assert text.count("#") >= 5


@pytest.mark.parametrize("wanted", [ONE, MANY, Wanted((("bellevue", "2025/winter"),))])
@pytest.mark.parametrize("place", ["", "atc.yml", "config/atc.yml"])
def test_doing_it_twice_is_doing_it_once(wanted: Wanted, place: str) -> None:
    """Also when there was a file."""
    mine = {place: "# mine\napp: {start: 'serve ${socket}'}  # so\nserver:\n  http_port: 9000\n"} if place else {}
    files = applied(PROCFILE | mine, wanted)

    assert proposed(files, wanted).changes == ()
    assert proposed(files).changes == ()


def test_a_file_that_is_there_stays() -> None:
    """It is only written anew when that is said; users are added to it."""
    mine = "# mine\napp: {start: 'serve ${socket}'}  # so\nserver:\n  http_port: 9000\n"
    files = PROCFILE | {"config/atc.yml": mine}

    assert "config/atc.yml" not in {each.path for each in proposed(files).changes}
    many = applied(files, MANY)["config/atc.yml"]
    assert many.startswith("# mine\napp: {start: 'serve ${socket}'}  # so\nserver:\n  http_port: 9000\n  index: true\n")
    assert complaints(many) == ()
    plan = compiled(many).plan
    assert [each.path for each in plan.tenants] == ["/demo/one", "/demo/two"]
    assert plan.server.index
    (change,) = (each for each in proposed(files, replaces=True).changes if each.path == "config/atc.yml")
    assert change.before == mine
    assert "bin/serve" not in change.after  # the owner said how it is started
    assert "serve ${socket}" in change.after


def test_users_that_are_there_stay_and_get_what_they_lack() -> None:
    """A tenant that is asked for by name is added; two to begin with are not, where there are some."""
    files = PROCFILE | {"atc.yml": "app: {start: x}\nusers:\n  a:  # first\n    tenants:\n      x: {}\n"}

    assert "users:\n  a:  # first\n    tenants:\n      x: {}\n" in applied(files, MANY)["atc.yml"]
    assert "demo" not in applied(files, MANY)["atc.yml"]
    more = applied(files, Wanted((("a", "y/z"), ("b", "w"))))["atc.yml"]
    assert {each.id for each in compiled(more).plan.tenants} == {"a/x", "a/y/z", "b/w"}
    assert "# first" in more


def test_one_tenant_becomes_many() -> None:
    """By the same command with --multi; what it wrote before goes on."""
    before = applied(PROCFILE)
    after = applied(before, MANY)

    assert complaints(after["config/atc.yml"]) == ()
    assert "one tenant, at /" in before["config/atc.yml"]
    assert "one tenant, at /" not in after["config/atc.yml"]
    assert applied(PROCFILE, MANY)["config/atc.yml"].count("tenants") == after["config/atc.yml"].count("tenants")


def test_the_data_of_the_one_tenant_is_not_forgotten() -> None:
    """Where there is any, it is said where it stays."""
    before = applied(PROCFILE)

    assert not any("stays in" in each for each in proposed(before, MANY).says)
    assert any("stays in data/_root" in each for each in proposed(before | {"data/_root/x.sqlite3": ""}, MANY).says)


def test_nobody_knows_how_it_is_started() -> None:
    """Then the owner is asked, and may say so."""
    with pytest.raises(Unavailable) as refused:
        proposed({"README": "hello"})
    assert "--start" in refused.value.hint
    text = applied({"README": "hello"}, start="serve ${socket}")["config/atc.yml"]
    assert yaml.safe_load(text)["app"]["start"] == "serve ${socket}"


RAILS = """\
FROM ruby:3.3-slim AS base
WORKDIR /rails
FROM base AS build
USER root
FROM base
COPY --from=build /rails /rails
USER 1000:1000
ENTRYPOINT ["/rails/bin/docker-entrypoint"]
EXPOSE 80
CMD ["./bin/thrust", "./bin/rails", "server"]
"""


def test_a_dockerfile_gets_what_starts_atc() -> None:
    """Behind all that it says, and as the user that it says."""
    text = applied(PROCFILE | {"Dockerfile": RAILS})["Dockerfile"]

    assert text.startswith(RAILS)
    rest = text.removeprefix(RAILS)
    assert [line.split()[0] for line in rest.splitlines() if line[:1].isupper()] == [
        "USER",
        "RUN",
        "COPY",
        "RUN",
        "RUN",
        "USER",
        "VOLUME",
        "EXPOSE",
        "ENTRYPOINT",
        "CMD",
    ]
    assert "\nUSER root\n" in rest
    assert "\nUSER 1000:1000\n" in rest
    assert "VOLUME /rails/data\n" in rest
    assert rest.endswith('ENTRYPOINT ["atc", "run"]\nCMD ["--state", "/rails/data/.atc"]\n')


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ('ENTRYPOINT ["atc", "run"]', True),
        ("CMD atc run", True),
        ('CMD ["/opt/atc/bin/atc","run"]', True),
        ('CMD ["catc", "run"]', False),
        ("# CMD atc run", False),
        ("RUN atc build", False),
    ],
)
def test_an_image_that_starts_atc_is_left_alone(text: str, runs: bool) -> None:
    """However it is spelt."""
    assert runs_atc(f"FROM debian\n{text}\n") is runs


def test_an_image_without_apt_get_is_left_to_the_owner() -> None:
    """And that is said."""
    proposal = proposed(PROCFILE | {"Dockerfile": "FROM ruby:3-alpine\nCMD x\n"})

    assert "Dockerfile" not in {each.path for each in proposal.changes}
    assert any("Dockerfile" in each for each in proposal.says)


def test_data_is_kept_out_of_git_and_of_images() -> None:
    """Without a line twice."""
    files = applied(PROCFILE | {".gitignore": "/data\n*.log\n"})

    assert files[".gitignore"].splitlines()[:2] == ["/data", "*.log"]
    assert files[".gitignore"].splitlines().count("/data") == 1
    assert "/data/" not in files[".gitignore"]
    assert "/config/.atc/" in files[".gitignore"]
    assert files[".dockerignore"].splitlines()[1:] == ["config/.atc/", "data/"]
    assert ".gitignore" not in applied(PROCFILE)


def test_a_change_is_shown() -> None:
    """As a line, and as a difference."""
    changes = {each.path: each for each in proposed(PROCFILE | {"Dockerfile": RAILS}).changes}

    assert str(changes["config/atc.yml"]) == "+ config/atc.yml"
    assert str(changes["Dockerfile"]).startswith("~ Dockerfile: ")
    assert "--- a/Dockerfile\n+++ b/Dockerfile\n" in changes["Dockerfile"].diff()
    assert "--- /dev/null\n+++ b/config/atc.yml\n" in changes["config/atc.yml"].diff()


RAILS_NEW = {
    "Gemfile.lock": "    rails (7.2.2)\n",
    "bin/rails": "#!ruby\n",
    "config.ru": "run Rails.application\n",
    "config/cable.yml": "production: {adapter: async}\n",
    "app/assets/a.css": "",
    ".ruby-version": "ruby-3.3.1\n",
}


def test_assets_are_compiled_in_the_image_as_atc_compiles_them() -> None:
    """With the path at which all tenants find them."""
    files = applied(RAILS_NEW)
    host = machine(base="/srv/app/config", state="/srv/app/config/.atc")
    (build,) = compiled(files["config/atc.yml"], host).plan.builds

    assert complaints(files["config/atc.yml"], host) == ()
    assert "/_atc/static/_2e_2e" in build.run
    image = files["Dockerfile"]
    assert "SECRET_KEY_BASE=unused RAILS_RELATIVE_URL_ROOT=/_atc/static/_2e_2e bin/rails assets:precompile\n" in image
    assert image.startswith("FROM ruby:3.3-slim\n")
    assert proposed(files).says == ()


def test_an_image_of_somebody_elses_files_gets_those_that_a_build_writes() -> None:
    """And the owner is told how it compiles assets."""
    proposal = proposed(RAILS_NEW | {"Dockerfile": RAILS})
    (change,) = (each for each in proposal.changes if each.path == "Dockerfile")

    assert "mkdir -p /rails/data /rails/public/assets && chown -R 1000:1000 /rails/data /rails/public/assets\n" in (
        change.after
    )
    assert any("RAILS_RELATIVE_URL_ROOT=/_atc/static/_2e_2e" in each for each in proposal.says)
