"""`atc run`: compile, then become supervisord."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

from atcgen.cli.source import compile_file, file_options, find_file
from atcgen.compiler.plan import Plan
from atcgen.errors import NginxRefused
from atcgen.system.generations import activate, prune, store


@click.command("run")
@file_options
def command(file: Path | None, region: str | None, instance: str | None, state: Path | None) -> None:
    """Serve every tenant of atc.yml until told to end."""
    compiled = compile_file(find_file(file), state, region, instance)
    for warning in compiled.warnings:
        click.echo(str(warning), err=True)
    home = Path(compiled.plan.paths.state)
    _directories(compiled.plan)
    generation = store(home, compiled.files)
    _test(compiled.plan, generation.path)
    activate(home, generation)
    prune(home)
    configuration = str(home / "current/supervisor/supervisord.conf")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", configuration])


def _directories(plan: Plan) -> None:
    paths = plan.paths
    for each in (paths.run, f"{paths.logs}/access", f"{paths.logs}/tenants", paths.tmp, paths.cache):
        Path(each).mkdir(parents=True, exist_ok=True)


def _test(plan: Plan, generation: Path) -> None:
    words = [
        "nginx",
        "-t",
        "-q",
        "-c",
        str(generation / "nginx/nginx.conf"),
        "-e",
        f"{plan.paths.logs}/nginx.error.log",
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NginxRefused(done.stderr.strip(), hint="please report this: the file passed every check")
