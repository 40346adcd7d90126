"""What was not signed with the secret is not believed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcgen.fleet.editions import Edition, key_of, number_of, sealed, unsealed
from atcgen.fleet.sealing import Forged, seal, unseal
from atcgen.fleet.told import heard, word

EDITION = Edition(12, "users: {}\n", "ann@laptop", "2026-11-23T16:05:00+00:00", "winter", 11)
SECRET = "known to all machines"


@given(st.text(), st.text(), st.integers(1, 10**9 - 1))
def test_an_edition_comes_back_as_it_was(text: str, message: str, number: int) -> None:
    """Whatever characters it has."""
    edition = replace(EDITION, number=number, text=text, message=message)

    assert unsealed(sealed(edition, SECRET), number, SECRET) == edition
    assert number_of(key_of(number)) == number


@pytest.mark.parametrize("key", ["number", "text", "who", "at", "message", "parent", "signature"])
def test_nothing_of_an_edition_can_be_changed(key: str) -> None:
    """Each is signed."""
    said = json.loads(sealed(EDITION, SECRET))
    said[key] = said[key] + 1 if isinstance(said[key], int) else f"{said[key]} "

    with pytest.raises(Forged, match="signature"):
        unsealed(json.dumps(said).encode(), 12, SECRET)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b'{"signature": 1}', b"\xff", b"[" * 100_000])
def test_what_is_no_edition_is_refused(body: bytes) -> None:
    """Without a traceback."""
    with pytest.raises(Forged):
        unsealed(body, 12, SECRET)


def test_an_edition_under_another_number_is_refused() -> None:
    """So that an old one cannot be made the newest by a copy."""
    with pytest.raises(Forged, match="it is edition 12 under another number"):
        unsealed(sealed(EDITION, SECRET), 13, SECRET)


def test_another_secret_is_another_fleet() -> None:
    """And no secret is none, even where somebody signed with it."""
    with pytest.raises(Forged):
        unsealed(sealed(EDITION, "another"), 12, SECRET)
    with pytest.raises(Forged):
        unsealed(sealed(EDITION, ""), 12, "")


def test_a_signature_is_for_one_kind_of_thing() -> None:
    """A report cannot be shown as an edition."""
    with pytest.raises(Forged):
        unseal("edition", seal("report", {"a": 1}, SECRET), SECRET)


@pytest.mark.parametrize("key", ["fleet/config/12.json", "fleet/config/0000012.json", "fleet/config/000012.txt", "x"])
def test_an_edition_has_one_name(key: str) -> None:
    """Others are none."""
    assert number_of(key) is None


def test_a_word_is_heard_for_a_minute() -> None:
    """And only by who knows the secret."""
    said = word(12, SECRET, 1000)

    assert heard(said, SECRET, 1000) == heard(said, SECRET, 1060) == 12
    assert heard(said, SECRET, 1061) is None
    assert heard(said, "another", 1000) is None
    assert heard(said.replace("12", "13", 1), SECRET, 1000) is None
    assert heard(said.replace("1060", "1070", 1), SECRET, 1000) is None
    assert heard(word(12, SECRET, 5000), SECRET, 1000) is None
    assert heard(word(12, "", 1000), "", 1000) is None
    assert heard("", SECRET, 1000) is None
