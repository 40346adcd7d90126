"""Tells machines that there is a new edition: at once and in vain where one does not answer, for it asks by itself."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import requests

from atcgen.compiler.plan import SharedPlan
from atcgen.fleet.reports import Report
from atcgen.fleet.told import HEADER, PATH, word

_AT_ONCE = 32
_CONNECT, _ANSWER = 2.0, 4.0  # seconds


def tell(reports: Iterable[Report], number: int, shared: SharedPlan) -> dict[str, str]:
    """What came of it, '' for a machine that heard, by the names of those that are awake."""
    awake = [each for each in reports if each.awake]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        said = pool.map(lambda each: _tell(each, number, shared), awake)
        return {each.machine: problem for each, problem in zip(awake, said, strict=True)}


def address_of(report: Report, shared: SharedPlan) -> tuple[str, dict[str, str]]:
    """Where a machine is reached, and the headers that lead to it."""
    if shared.address and report.instance:
        return shared.address, {"fly-force-instance-id": report.instance}
    return dict(shared.hosts).get(report.machine, report.address), {}


def _tell(report: Report, number: int, shared: SharedPlan) -> str:
    address, headers = address_of(report, shared)
    headers |= {HEADER: word(number, shared.secret, time.time())}
    try:
        answer = requests.post(address + PATH, headers=headers, timeout=(_CONNECT, _ANSWER), allow_redirects=False)
    except requests.RequestException as problem:
        return f"{address} does not answer: {type(problem).__name__}"
    return "" if answer.status_code == 204 else f"{address} answered {answer.status_code}"
