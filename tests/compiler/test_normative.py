"""The two normative files compile, and real nginx takes what comes out."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from atcgen.compiler import compile_text
from atcgen.compiler.plan import Host
from atcgen.errors import Rejected
from atcgen.system.generations import activate, store
from atcgen.system.templates import read_templates

BUSINESS = """\
server: {http_port: 8080}
app:
  platform: command
  root: ./app
  start: python3 app.py --socket ${socket}
  prepare: python3 migrate.py
  health: /up
  env: {DATABASE_PATH: "${database}", BASE_PATH: "${tenant.path}", OWNER: "${user.name}"}
storage: {volume: ./data}
idle: {tenant: 5m}
users:
  bellevue:
    name: Bellevue
    region: sea
    tenants:
      2025/winter: {name: Winter}
      2025/summer-medal-ball: {}
  boston:
    region: bos
    tenants: {2025/april: {}, 2025/mini-comp: {}, 2025/october: {}}
"""
FLY_ATC = """\
routes:
  - {name: Sam, endpoint: /sam, database: sam, region: iad}
  - {name: index, database: production}
"""


@pytest.mark.parametrize(("text", "tenants"), [(BUSINESS, 5), (FLY_ATC, 2)])
@pytest.mark.parametrize("region", [None, "sea"])
def test_real_nginx_takes_the_normative_files(text: str, tenants: int, region: str | None, tmp_path: Path) -> None:
    """What passes the compiler passes `nginx -t`, on a machine with a region and on one without."""
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed")
    host = Host(str(tmp_path), str(tmp_path / "state"), region=region, open_files=4096)
    compiled = compile_text(text, file="atc.yml", host=host, templates=read_templates())
    for each in ("run", "logs/access", "tmp"):
        (tmp_path / "state" / each).mkdir(parents=True)
    activate(tmp_path / "state", store(tmp_path / "state", compiled.files))

    conf = tmp_path / "state/current/nginx/nginx.conf"
    done = subprocess.run(
        ["nginx", "-t", "-c", conf, "-e", tmp_path / "error.log"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert len(compiled.plan.tenants) + len(compiled.plan.remotes) == tenants


def test_errors_come_all_at_once_with_their_places() -> None:
    """Every problem of a file is reported with file, line and column, sorted, in one go."""
    text = "server: {http_port: 80800}\napp: {strat: x}\nusers: {a: {tenants: {x: {}, x: {}}}}\n"

    with pytest.raises(Rejected) as rejected:
        compile_text(text, file="atc.yml", host=Host("/x", "/x/.atc"), templates={})

    places = [(each.position.line, each.position.column, each.code.value) for each in rejected.value.diagnostics]
    assert places == [(1, 21, "out-of-range"), (2, 7, "unknown-key"), (3, 30, "duplicate-key")]
