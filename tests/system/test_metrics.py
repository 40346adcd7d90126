"""What Prometheus collects from a running atc."""

from __future__ import annotations

import http.client

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.system.running import TWO_TENANTS, free_port, running, wait_until

pytestmark = pytest.mark.system


def _samples(text: str) -> dict[tuple[str, str], float]:
    """Values by the name of the metric and the tenant."""
    families = text_string_to_metric_families(text)
    return {(one.name, one.labels.get("tenant", "")): one.value for each in families for one in each.samples}


def _get(port: int, path: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type", ""), answer.read().decode()
    finally:
        connection.close()


def test_metrics_are_served_beside_the_tenants_and_printed() -> None:
    """On the address that says so alone; they wake nobody."""
    port = free_port()
    with running(TWO_TENANTS, server=f"metrics: '127.0.0.1:{port}'") as atc:
        assert atc.get("/a/x/")[0] == 200
        atc.cli("restart", "a/x")
        status, kind, text = _get(port, "/metrics")

        assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
        found = _samples(text)
        assert found["atc_tenant_wakes_total", "a/x"] == found["atc_tenant_restarts_total", "a/x"] == 1
        assert 0 < found["atc_tenant_last_wake_seconds", "a/x"] < 30
        assert found["atc_tenant_wakes_total", "a/y"] == 0
        assert found["atc_tenants_awake", ""] == 1
        assert _get(port, "/a/x/")[0] == _get(atc.port, "/metrics")[0] == 404
        assert _samples(atc.cli("metrics").stdout).keys() == found.keys()


def test_the_address_follows_the_file() -> None:
    """As every key."""
    port = free_port()
    with running(TWO_TENANTS, server="boots: 2") as atc:
        atc.edit("boots: 2", f"boots: 2, metrics: '127.0.0.1:{port}'")

        def is_served() -> bool:
            try:
                return _get(port, "/metrics")[0] == 200
            except OSError:
                return False

        wait_until(is_served)
