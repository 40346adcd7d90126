"""What a build costs: time and memory of `atc build`, `nginx -t` of what it wrote, and how fast the commands start.

Cost per tenant must not grow with their number. Every build is a process of its own; figures are CPU seconds of that
process (user and system), and its peak of resident memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from bench.figures import Figure
from bench.running import scratch

SIZES = (500, 1_000, 2_000, 4_000)
GROWTH = 1.3  # cost per tenant at the largest size to that at the smallest
PER_USER = 10


@dataclass(frozen=True)
class Cost:
    """Of a build, and of `nginx -t` of what it wrote: CPU seconds and peak megabytes."""

    cpu: float
    peak: float
    tested: float
    tested_peak: float

    @property
    def note(self) -> str:
        """All but the first."""
        return f"{self.peak:.0f} MB, nginx -t {self.tested:.2f} s, {self.tested_peak:.0f} MB"


def run() -> Iterator[Figure]:
    """The figures."""
    per_tenant = {}
    for count in SIZES:
        cost = built(_document(count, here=count))
        per_tenant[count] = cost.cpu / count
        yield Figure("compile", f"build of {count:,} tenants", cost.cpu, "s CPU", note=cost.note)
    growth = per_tenant[SIZES[-1]] / per_tenant[SIZES[0]]
    yield Figure("compile", "cost per tenant, of 4,000 / of 500", growth, "times", GROWTH)
    cost = built(_document(10_000, here=100))
    yield Figure("compile", "build of 10,000, 9,900 remote", cost.cpu, "s CPU", note=cost.note)
    for words in (["--version"], ["--help"], ["check", "-c", "atc.yml"]):
        yield Figure("compile", f"atc {words[0]}", median(_command_line(words) for _ in range(5)) * 1000, "ms CPU")
    for module in ("atcgen.cli", "atcgen.agent.__main__"):
        yield Figure("compile", f"import {module}", median(_import(module) for _ in range(5)), "ms")


def _document(count: int, *, here: int) -> str:
    """An atc.yml in the usual style; the tenants of other users live in another region."""
    users: dict[str, Any] = {}
    for number in range(count):
        user = users.setdefault(
            f"customer-{number // PER_USER:04}", {"name": f"Customer {number // PER_USER}", "tenants": {}}
        )
        if number >= here:
            user["region"] = "sea"
        user["tenants"][f"2025/event-{number % PER_USER}"] = {"name": f"Event {number}"}
    app = {
        "start": "bin/serve --bind unix:${socket}",
        "prepare": "bin/migrate",
        "static": {"static": "static"},
        "env": {"DATABASE_PATH": "${database}", "SECRET_KEY": "${secret}", "TITLE": "${user.name}, ${tenant.name}"},
    }
    return yaml.dump({"app": app, "users": users}, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper))


def built(text: str) -> Cost:
    """What it costs to build an atc.yml in the region iad."""
    with scratch() as home:
        (home / "atc.yml").write_text(text, encoding="utf-8")
        words = [sys.executable, "-m", "atcgen", "build", "-c", "atc.yml", "-o", "out", "--state", str(home / "state")]
        cpu, peak = _cost([*words, "--region", "iad"], home)
        for each in ("run", "logs/access", "tmp", "cache"):
            (home / "state" / each).mkdir(parents=True)
        (home / "state/current").symlink_to(home / "out")
        tested, tested_peak = _cost(
            ["nginx", "-t", "-q", "-c", str(home / "out/nginx/nginx.conf"), "-e", str(home / "error")], home
        )
    return Cost(cpu, peak, tested, tested_peak)


def _command_line(words: list[str]) -> float:
    with scratch() as home:
        (home / "atc.yml").write_text(_document(10, here=10), encoding="utf-8")
        return _cost([sys.executable, "-m", "atcgen", *words], home)[0]


def _import(module: str) -> float:
    """How long an import takes, in milliseconds, as Python itself counts it."""
    words = [sys.executable, "-X", "importtime", "-c", f"import {module}"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stderr
    line = next(each for each in said.splitlines() if each.endswith(f" {module}"))
    return int(line.split("|")[1]) / 1000


def _cost(words: list[str], home: Path) -> tuple[float, float]:
    """CPU seconds and peak resident megabytes of a program that must end well."""
    process = subprocess.Popen(words, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr
    complaints = process.stderr.read()
    process.stderr.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(complaints.decode(errors="replace"))
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
