"""Files of the form year -> city -> events: nothing is lost on the way to an atc.yml, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from atcgen.errors import Rejected
from atcgen.init.showcases import import_showcases, is_showcases
from tests.compiler.compiling import compiled, complaints
from tests.showcases import showcase_files, tenant_ids, users_of

SAMPLE = """\
---
# The first year.
2024:
  # who was first
  boston:   # of Massachusetts
    :name: Boston
    :region: bos
    :logo: 'a # b'
    :events:
      # cold
      april:
        :name: "April # 1"   # hash
        :color: red
  sam:
    :name: Sam & Co
2025:
  boston:
    :name: Boston!
    :region: iad
"""


def back(text: str) -> dict[int, Any]:
    """An atc.yml of users as year -> city -> events."""
    years: dict[int, Any] = {}
    for city, user in yaml.safe_load(text)["users"].items():
        for path, tenant in user["tenants"].items():
            year, _, event = path.partition("/")
            region = tenant.get("region", user.get("region"))
            said = years.setdefault(int(year), {}).setdefault(city, {":name": user["name"]})
            if region:
                said[":region"] = region
            if event:
                said.setdefault(":events", {})[event] = {":name": tenant["name"]}
    return years


def without_what_has_no_meaning(file: Path) -> dict[int, Any]:
    """The years of a file as an atc.yml can say them."""
    years = yaml.safe_load(file.read_text(encoding="utf-8"))
    for cities in years.values():
        for said in cities.values():
            for key in (":logo", ":port"):
                said.pop(key, None)
            if not said.get(":events"):
                said.pop(":events", None)
            else:
                said[":events"] = {event.lstrip(":"): about for event, about in said[":events"].items()}
    found: dict[int, Any] = years
    return found


def test_every_file_of_three_years_comes_back_whole() -> None:
    """143 of them: the same years, cities, names, regions and events; each compiles to these tenants."""
    files = showcase_files()
    assert len(files) == 143
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert is_showcases(yaml.safe_load(text)), file
        imported = import_showcases(text, file.name)

        assert back(imported.text) == without_what_has_no_meaning(file), file
        marks = text.count(":logo:") + text.count(":port:")
        assert len(imported.lost) == marks, file
        if file in (files[0], files[70], files[-1]):
            assert complaints(imported.text) == ()
            assert {each.id for each in compiled(imported.text).plan.tenants} == tenant_ids(users_of(file))


def test_comments_stay_with_what_they_are_about() -> None:
    """Above and beside; and a year that differs keeps its region."""
    imported = import_showcases(SAMPLE, "s.yml")

    assert imported.text == (
        "users:\n"
        "  # The first year.\n"
        "  # who was first\n"
        "  boston:  # of Massachusetts\n"
        "    name: Boston!\n"
        "    region: iad\n"
        "    tenants:\n"
        "      # cold\n"
        "      2024/april: {name: 'April # 1', region: bos}  # hash\n"
        "      '2025': {name: Boston!}\n"
        "  sam:\n"
        "    name: Sam & Co\n"
        "    tenants:\n"
        "      '2024': {name: Sam & Co}\n"
    )
    assert complaints(imported.text) == ()


def test_what_has_no_meaning_is_said_with_its_place() -> None:
    """File, line and column of the key."""
    assert [str(each) for each in import_showcases(SAMPLE, "s.yml").lost] == [
        "s.yml:8:5: 2024.boston.:logo: belongs to the application: atc knows no logos",
        "s.yml:13:9: 2024.boston.:events.april.:color: means nothing in atc.yml",
    ]


@pytest.mark.parametrize("text", ["a: [", "- 1", "a: 1\na: 2"])
def test_what_cannot_be_read_is_rejected(text: str) -> None:
    """With its place."""
    with pytest.raises(Rejected) as rejected:
        import_showcases(text, "s.yml")
    assert str(rejected.value).startswith("s.yml:")
