"""The estimate: prices as they were published, and what is made of them."""

from __future__ import annotations

import pytest

from atcgen.compiler.machines import Guest
from atcgen.provision import prices
from atcgen.provision.cost import Habits, costs, per_second
from tests.provision.test_planner import plan

# The published list of 2025-08-19: preset, memory in MB, dollars per second in iad.
LIST = (
    ("shared", 1, 256, 0.00000075),
    ("shared", 1, 512, 0.00000123),
    ("shared", 1, 1024, 0.00000220),
    ("shared", 1, 2048, 0.00000413),
    ("shared", 2, 512, 0.00000150),
    ("shared", 2, 4096, 0.00000826),
    ("shared", 4, 1024, 0.00000300),
    ("shared", 4, 8192, 0.00001651),
    ("performance", 1, 2048, 0.00001196),
    ("performance", 1, 8192, 0.00002354),
    ("performance", 2, 4096, 0.00002392),
    ("performance", 2, 16384, 0.00004708),
)


@pytest.mark.parametrize(("kind", "cpus", "memory", "price"), LIST)
def test_prices_are_those_of_the_list(kind: str, cpus: int, memory: int, price: float) -> None:
    """Within what rounding does."""
    assert per_second(Guest(kind, cpus, memory), "iad") == pytest.approx(price, abs=3e-8)


@pytest.mark.parametrize(("region", "month"), [("ams", 5.92), ("sjc", 6.79), ("gru", 9.20), ("nrt", 7.45)])
def test_regions_are_those_of_the_list(region: str, month: float) -> None:
    """A shared-cpu-1x with 1 GB that never sleeps, for 30 days."""
    (found,) = costs([plan(region=region, guest=Guest("shared", 1, 1024))], Habits(24, 0, 0))

    assert found.compute == pytest.approx(month, abs=0.03)
    assert (found.hours, found.traffic, found.storage) == (720, 0, prices.STORAGE)


def test_a_machine_that_sleeps_costs_its_storage() -> None:
    """And what it runs."""
    (found,) = costs([plan(volume_gb=3)], Habits(hours_per_day=6, traffic_gb=10, image_gb=2))

    assert found.compute == pytest.approx(0.00000075 * 6 * 3600 * 30)
    assert found.storage == pytest.approx(0.15 * (3 + 2 * 0.75))
    assert found.traffic == pytest.approx(0.2)
    assert found.total == found.compute + found.storage + found.traffic


def test_a_region_without_a_price_has_the_highest() -> None:
    """An estimate that is too low helps nobody."""
    (unknown, dearest) = costs([plan(region="xyz"), plan(region="gru")], Habits())

    assert unknown.compute == dearest.compute
    assert unknown.traffic == 0.12


def test_a_usual_user_costs_about_a_dollar() -> None:
    """What the whole thing is for."""
    (found,) = costs([plan()], Habits())

    assert 0.3 < found.total < 1
    assert set(prices.TRAFFIC) == set(prices.REGIONS)
