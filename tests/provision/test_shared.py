"""What provisioning writes into atc.yml is the next edition where machines follow a store."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FILE = """\
# ours
fleet: {app: shows, secret: known to all machines, config: file:./editions}
users:
  bellevue: {region: sea, tenants: {winter: {}}}
"""


def atc(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command in a directory."""
    return subprocess.run(
        [sys.executable, "-m", "atcgen", *words], cwd=home, capture_output=True, text=True, check=False, timeout=60
    )


def test_an_edit_is_pushed(tmp_path: Path) -> None:
    (tmp_path / "atc.yml").write_text(FILE)
    done = atc(tmp_path, "user", "add", "boston", "--region", "bos", "--edit-only")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "atc.yml").read_text()
    assert "# ours" in text
    assert "boston" in text
    (edition,) = json.loads(atc(tmp_path, "history", "--json").stdout)
    assert edition["number"] == 1


def test_an_edit_of_an_old_text_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "atc.yml").write_text(FILE.replace("file:./editions", f"file:{tmp_path}/editions"))
    (tmp_path / "editions").mkdir()
    assert atc(tmp_path / "one", "push").returncode == 0
    assert atc(tmp_path / "two", "pull").returncode == 0
    assert atc(tmp_path / "one", "user", "add", "boston", "--region", "bos", "--edit-only").returncode == 0

    late = atc(tmp_path / "two", "user", "add", "raleigh", "--region", "iad", "--edit-only")

    assert late.returncode == 1
    assert "boston" in late.stderr + late.stdout
    assert len(json.loads(atc(tmp_path / "one", "history", "--json").stdout)) == 2
