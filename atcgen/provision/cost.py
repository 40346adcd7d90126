"""What each user costs in a month: an estimate from the size of machines, the hours they run, storage and traffic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from atcgen.compiler.machines import Guest, MachinePlan
from atcgen.provision import prices

DAYS = 30
HOURS_PER_DAY = 2.0
TRAFFIC_GB = 1.0
IMAGE_GB = 1.0


@dataclass(frozen=True)
class Habits:
    """What is assumed of every user."""

    hours_per_day: float = HOURS_PER_DAY
    traffic_gb: float = TRAFFIC_GB  # a month
    image_gb: float = IMAGE_GB


@dataclass(frozen=True)
class Cost:
    """A row of the table: a machine, for a month of 30 days, in dollars."""

    user: str  # '' when those who name the region share it
    region: str
    machine: str
    tenants: int
    hours: float
    compute: float
    storage: float
    traffic: float

    @property
    def total(self) -> float:
        """The month."""
        return self.compute + self.storage + self.traffic


def costs(machines: Sequence[MachinePlan], habits: Habits) -> tuple[Cost, ...]:
    """Of every machine."""
    return tuple(_cost(each, habits) for each in machines)


def _cost(plan: MachinePlan, habits: Habits) -> Cost:
    hours = habits.hours_per_day * DAYS
    asleep = 1 - habits.hours_per_day / 24
    return Cost(
        user=plan.user,
        region=plan.region,
        machine=str(plan.guest),
        tenants=len(plan.tenants),
        hours=hours,
        compute=per_second(plan.guest, plan.region) * hours * 3600,
        storage=prices.STORAGE * (plan.volume_gb + habits.image_gb * asleep),
        traffic=prices.TRAFFIC.get(plan.region, max(prices.TRAFFIC.values())) * habits.traffic_gb,
    )


def per_second(guest: Guest, region: str) -> float:
    """The price of a machine that runs; where a region is not in the list, of the dearest."""
    included, _ = guest.limits_mb
    further = (guest.memory_mb - included) / 1024
    base = prices.PROCESSOR[guest.kind] * guest.cpus + prices.MEMORY * further
    return base * prices.REGIONS.get(region, prices.UNKNOWN_REGION)
