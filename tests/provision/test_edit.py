"""Edits of atc.yml by commands: what they mean, and that everything else stays as somebody wrote it."""

from __future__ import annotations

import difflib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcgen.compiler.source import parse
from atcgen.errors import AtcError
from atcgen.provision.edit import add_tenant, add_user, empty, set_keys

WRITTEN = """\
# The fleet of the studios.
server: { http_port: 8080 }    # odd spaces stay

app:
    databases:
        - a.sqlite3   # the first
        - "b.sqlite3"
    env: {OPENS: "22:30", VERSION: '1.10'}
users:
    # West.
    bellevue:
        region: sea   # near
        tenants:
            2025/winter: {name: Winter}

    boston: {region: bos, tenants: {2025/april: {}}}   # last

# Old ones.
routes:
    - {endpoint: /}
"""


def lines(before: str, after: str) -> list[str]:
    """What differs."""
    said = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [each for each in said if each[:1] in "+-" and each[:3] not in ("+++", "---")]


def test_a_key_is_set_where_it_is() -> None:
    """Its comment stays."""
    assert lines(WRITTEN, set_keys(WRITTEN, ("users", "bellevue"), {"region": "ams"})) == [
        "-        region: sea   # near",
        "+        region: ams   # near",
    ]


def test_a_key_is_added_to_its_section() -> None:
    """In the way the section is written."""
    inner = set_keys(WRITTEN, ("users", "bellevue"), {"instance": "3287114a5de018"})
    flow = set_keys(WRITTEN, ("users", "boston"), {"instance": "3287114a5de018"})

    assert lines(WRITTEN, inner) == ["+        instance: 3287114a5de018"]
    assert lines(WRITTEN, flow) == [
        "-    boston: {region: bos, tenants: {2025/april: {}}}   # last",
        "+    boston: {region: bos, tenants: {2025/april: {}}, instance: 3287114a5de018} # last",
    ]


def test_a_user_is_added_behind_the_others() -> None:
    """And not behind what is said of the next section."""
    after = add_user(WRITTEN, "raleigh", {"region": "iad", "machine": empty()})

    assert lines(WRITTEN, after) == ["+    raleigh:", "+        region: iad", "+        machine: {}"]
    assert after.index("raleigh") < after.index("# Old ones.")


def test_a_tenant_is_added_behind_the_others() -> None:
    """With and without a name."""
    assert lines(WRITTEN, add_tenant(WRITTEN, "bellevue", "2025/summer", {"name": "Summer"})) == [
        "+            2025/summer: {name: Summer}"
    ]
    assert parse(add_tenant(WRITTEN, "boston", "2025/may", {}), "")[0].data["users"]["boston"]["tenants"] == {
        "2025/april": {},
        "2025/may": {},
    }


def test_a_tenant_that_is_there_is_not_added_again() -> None:
    """Whatever slashes it is written with."""
    with pytest.raises(AtcError, match="already"):
        add_tenant(WRITTEN.replace("2025/winter:", "/2025/winter/:"), "bellevue", "2025/winter", {})


@pytest.mark.parametrize("text", ["", "# nothing\n", "users:\n", "users: {}\n", "app: {start: x}\n", "users: {}"])
def test_the_first_user_makes_the_section(text: str) -> None:
    """Also in an empty file."""
    after = add_user(text, "a", {"region": "iad"})
    after = add_tenant(after, "a", "x", {})

    assert parse(after, "")[0].data["users"] == {"a": {"region": "iad", "tenants": {"x": {}}}}


@pytest.mark.parametrize(
    ("written", "user"),
    [("users:\n  2025: {tenants: {x: {}}}\n", "2025"), ('users:\n  "no": {tenants: {x: {}}}\n', "no")],
)
def test_a_user_with_an_odd_name(written: str, user: str) -> None:
    """A number to YAML, or a word that other readers take for something else."""
    found, problems = parse(set_keys(written, ("users", user), {"region": "ams"}), "")

    assert problems == []
    assert found.data["users"] == {user: {"tenants": {"x": {}}, "region": "ams"}}


@pytest.mark.parametrize("machine", ["3287114a5de018", "12345678901234", "1234e567890123", "01234567012345", "0x12345"])
def test_the_id_of_a_machine_stays_text(machine: str) -> None:
    """To every reader of YAML."""
    import yaml

    after = set_keys("users: {a: {region: sea}}\n", ("users", "a"), {"instance": machine})
    found, problems = parse(after, "")

    assert problems == []
    assert found.data["users"]["a"]["instance"] == machine == yaml.safe_load(after)["users"]["a"]["instance"]


comments = st.sampled_from(["", "  # a note", "   # another: {one}"])
users = st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True, min_size=1)


@st.composite
def files(draw: st.DrawFn) -> str:
    """Files in different hands: indentation, comments, blank lines, flow and block."""
    indent = " " * draw(st.integers(1, 6))
    text = draw(st.sampled_from(["", "# head\n", "app:\n" + indent + "start: 'x'   # y\n\n", "x-list:\n- 1\n-   2\n"]))
    text += f"users:{draw(comments)}\n"
    for user in draw(users):
        text += draw(st.sampled_from(["", "\n", f"{indent}# about {user}\n"]))
        if draw(st.booleans()):
            text += f"{indent}{user}: {{ region: iad,tenants: {{x: {{}}}} }}{draw(comments)}\n"
        else:
            text += f"{indent}{user}:{draw(comments)}\n{indent * 2}region: iad{draw(comments)}\n"
            text += draw(st.sampled_from(["", f"{indent * 2}tenants:\n{indent * 3}x: {{}}\n", "\n"]))
    return text + draw(
        st.sampled_from(["", "\n# tail\n", "\nidle: 5m # end\n", "# tail\nserver:\n  http_port:   80\n"])
    )


EDITS: tuple[Callable[[str], str], ...] = (
    lambda text: add_user(text, "new", {"region": "ams", "machine": empty()}),
    lambda text: set_keys(text, ("users", parse(text, "")[0].data["users"].__iter__().__next__()), {"region": "ams"}),
)


@given(files(), st.sampled_from(EDITS))
def test_an_edit_changes_what_it_means_and_no_other_line(text: str, edit: Callable[[str], str]) -> None:
    """Comments, order, spaces: at most one line goes, and that one is written anew."""
    before, after = parse(text, "")[0].data, edit(text)
    data, problems = parse(after, "")

    assert problems == []
    users = {user: dict(section) for user, section in before["users"].items()}
    if edit is EDITS[0]:
        users["new"] = {"region": "ams", "machine": {}}
    else:
        users[next(iter(users))]["region"] = "ams"
    assert data.data == {**before, "users": users}
    assert list(data.data["users"]) == list(users)
    assert len([each for each in lines(text, after) if each.startswith("-")]) <= 1
    for comment in ("# head", "# tail", "# a note", "# another: {one}", "# end"):
        assert after.count(comment) == text.count(comment)


def test_a_comment_of_the_section_itself_stays_above() -> None:
    """Such as a user that was commented out."""
    text = "users:\n  a: {region: iad} # a\n  # b: {region: ams}\n\n# the end\nidle: 5m\n"

    assert add_user(text, "c", {"region": "lhr"}) == text.replace("ams}\n", "ams}\n  c: {region: lhr}\n")
