"""Lists that must be complete: described keys, used templates, known variables."""

from __future__ import annotations

import re

import jinja2
import pytest
from pydantic import BaseModel

from atcgen.compiler import fleet_schema, hooks_schema, interpolate, schema
from atcgen.compiler.check import section_at
from atcgen.compiler.plan import Plan
from atcgen.compiler.render import render
from atcgen.compiler.section import Section
from tests.compiler.compiling import TEMPLATES, compiled, machine

SECTIONS = [
    each
    for module in (schema, fleet_schema, hooks_schema)
    for each in vars(module).values()
    if isinstance(each, type) and issubclass(each, Section) and each.__module__ == module.__name__
]
# Every part of every template is used by this one.
EVERYTHING = """\
storage: {replica: file:./copies}
server: {user: root, metrics: "127.0.0.1:9100", cache_size: 1MB, trusted_proxies: [10.0.0.0/8], log_requests: true}
app:
  user: root
  start: serve ${socket}
  build: make
  prepare: migrate
  private: [storage]
  static: {"": public, assets: assets}
  websocket: cable
fleet: {secret: s, steer: true, elsewhere: [{path: "**.pdf", app: print}], app: shows, replay: 1m}
users:
  a: {tenants: {x: {}, y: {host: y.example}, z: {app: {start: "serve ${port}", cache: all}}}}
  d:
    app: {preload: true, private: []}
    tenants: {x: {app: {start: "gunicorn --bind unix:${socket} a"}}, y: {app: {start: "puma -b unix://${socket}"}}}
  b: {region: bos, tenants: {x: {}, y: {host: away.example}}}
  c: {tenants: {x: {region: bos}, s: {app: {prefix: strip}}}}
routes: [{endpoint: /, app: {streaming: true}}]
"""


@pytest.mark.parametrize("section", SECTIONS, ids=lambda each: str(each.__name__))
def test_every_key_has_a_description(section: type[BaseModel]) -> None:
    """The reference documentation is made of whole sentences."""
    for name, each in section.model_fields.items():
        assert each.description, name
        assert each.description[0].isupper() or each.description[0] == "`", name
        assert each.description.endswith("."), name


@pytest.mark.parametrize("section", SECTIONS, ids=lambda each: str(each.__name__))
def test_every_section_has_a_docstring(section: type[BaseModel]) -> None:
    """Editors show it."""
    assert section.__doc__


# And the page at '/', where no tenant is.
LISTED = "server: {index: true}\nusers: {a: {tenants: {x: {}, y: {host: y.example}}}}\n"


def test_every_template_is_used() -> None:
    """What is not used is deleted; pages are copied, and each is named by a location."""
    plan = compiled(EVERYTHING, machine(is_root=True, region="sea", nginx_version=(1, 27, 4))).plan
    plans = (plan, compiled(LISTED).plan)
    used = {name for name in TEMPLATES if any(_changes_anything(each, name) for each in plans)}

    assert set(TEMPLATES) == used


def _changes_anything(plan: Plan, name: str) -> bool:
    """Is the text of a template part of any file?"""
    marked = dict(TEMPLATES) | {name: TEMPLATES[name] + "\n# marked\n"}
    files = render(plan, marked)
    return any("# marked" in each for each in files.values())


def test_every_page_is_reached() -> None:
    """A page nobody refers to would never be seen."""
    files = compiled(EVERYTHING, machine(is_root=True, region="sea")).files
    pages = {name.removeprefix("nginx/pages/") for name in TEMPLATES if name.startswith("nginx/pages/")}
    named = set(re.findall(r"location = /_atc/page/(\S+) ", files["nginx/internal.conf"]))

    assert pages == named


def test_every_variable_of_a_template_is_defined() -> None:
    """A misspelt variable stops the rendering and is named."""
    plan = compiled(EVERYTHING, machine(is_root=True)).plan
    name = "nginx/nginx.conf.j2"

    with pytest.raises(jinja2.UndefinedError, match="mispelt"):
        render(plan, dict(TEMPLATES) | {name: TEMPLATES[name] + "{{ mispelt }}"})


def test_every_part_of_every_template_is_rendered() -> None:
    """All branches print something with variables that exist."""
    files = compiled(EVERYTHING, machine(is_root=True, region="sea")).files

    assert all(files.values())


@pytest.mark.parametrize("name", [each for each in TEMPLATES if each.endswith((".conf.j2", ".js.j2"))])
def test_a_printed_value_is_not_glued_into_a_word(name: str) -> None:
    """A value that needs quotes cannot stand in the middle of a word; numbers with a unit, and plain names, can."""
    glued = re.findall(r"[\w/.-]\{\{ (\S+) \}\}|\{\{ (\S+) \}\}[\w/.-]", TEMPLATES[name])
    plain = re.compile(r"server\.\w*(timeout|lifetime)|tenant\.program|comment\(.*")

    assert [each for pair in glued for each in pair if each and not plain.fullmatch(each)] == []


@pytest.mark.parametrize("name", interpolate.VARIABLES)
def test_every_variable_has_a_value(name: str) -> None:
    """What the documentation names can be used."""
    plan = compiled(f"app: {{env: {{A: 'x${{{name}}}x'}}}}\nusers: {{a: {{tenants: {{x: {{}}}}}}}}").plan

    assert "${" not in dict(plan.tenants[0].env)["A"]
    assert interpolate.VARIABLES[name]


def test_no_section_is_where_none_can_be() -> None:
    """Suggestions for a misspelt key come from the section it stands in."""
    assert section_at(()) is schema.Config
    assert section_at(("users", "a", "tenants", "x", "app")) is schema.App
    assert section_at(("routes", 0, "idle")) is schema.Idle
    assert section_at(("server", "http_port")) is None
    assert section_at(("server", "http_port", "x")) is None
    assert section_at(("nobody", "x")) is None
