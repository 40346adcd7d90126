"""The files of an application, as texts and on the disk, are the same to who looks at them."""

from __future__ import annotations

from pathlib import Path

import pytest

from atcgen.platforms.platform import Tree
from atcgen.system.application import ApplicationTree
from tests.platforms.trees import Texts

FILES = {
    "Gemfile.lock": "rails",
    "db/migrate/1_a.rb": "",
    "db/migrate/2_b.rb": "",
    "app/views/a/b.erb": "",
    "app/[id].js": "",
}


@pytest.mark.parametrize("kind", ["texts", "disk"])
def test_names_and_texts(kind: str, tmp_path: Path) -> None:
    """Sorted, directories too; nothing is '' or ()."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    tree: Tree = Texts(FILES) if kind == "texts" else ApplicationTree(tmp_path)

    assert tree.text("Gemfile.lock") == "rails"
    assert tree.text("Gemfile") == tree.text("db") == ""
    assert tree.names("db/migrate/*.rb") == ("db/migrate/1_a.rb", "db/migrate/2_b.rb")
    assert tree.names("db/m*") == ("db/migrate",)
    assert tree.names("**/*.erb") == tree.names("app/**/b.erb") == ("app/views/a/b.erb",)
    assert tree.names("**/migrate") == ("db/migrate",)
    assert tree.names("app/[id].*") == tree.names("**/[id].js") == ("app/[id].js",)
    assert tree.names("nothing/*") == tree.names("/*") == tree.names("../*") == tree.names("") == ()


def test_others_code_is_not_looked_into(tmp_path: Path) -> None:
    """Nor is anything outside, or larger than people write."""
    for name in ("node_modules/x/a.py", ".git/a.py", "mine/pyvenv.cfg", "mine/lib/a.py", "own/a.py"):
        (tmp_path / "app" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "app" / name).write_text("x")
    (tmp_path / "secret").write_text("x")
    (tmp_path / "app/large").write_text("x" * 1_000_001)
    tree = ApplicationTree(tmp_path / "app")

    assert tree.names("**/a.py") == ("own/a.py",)
    assert tree.text("../secret") == tree.text("large") == ""
