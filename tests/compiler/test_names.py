"""Names of programs and the directories of their sockets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atcgen.compiler.names import ROOT, SOCKET_PATH_LIMIT, program_name, socket_directory

_path = st.lists(st.text("aB7._~@+-", min_size=1, max_size=5), min_size=1, max_size=3).map("/".join)


@given(_path, _path)
def test_different_paths_have_different_names(one: str, other: str) -> None:
    """Also where upper and lower case are the same."""
    assert (one == other) == (program_name(one).lower() == program_name(other).lower())


@given(st.text())
def test_a_name_is_plain(path: str) -> None:
    """It can stand in files, upstreams and sections as it is."""
    assert set(program_name(path)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_the_root_has_a_name_no_path_has() -> None:
    """An underscore in a path is spelt otherwise."""
    assert program_name("") == ROOT
    assert program_name("_root") != ROOT
    assert program_name("2025/Winter") == "2025._57inter"


@given(st.integers(1, 83), st.text("ab.", min_size=1, max_size=200), st.text("ab.", min_size=1, max_size=200))
def test_sockets_fit_into_the_kernel_and_stay_apart(length: int, one: str, other: str) -> None:
    """However long the names are."""
    run = "/" + "r" * (length - 1)
    here, there = socket_directory(run, one), socket_directory(run, other)

    assert len(f"{here}/0.sock".encode()) <= SOCKET_PATH_LIMIT
    assert (one == other) == (here == there)
