"""How hypothesis behaves in every test: no deadlines, and where `CI` is set the same examples every time."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_SLOW_IS_FINE = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)

settings.register_profile("search", deadline=None, suppress_health_check=_SLOW_IS_FINE)
settings.register_profile("ci", derandomize=True, deadline=None, database=None, suppress_health_check=_SLOW_IS_FINE)
settings.load_profile("ci" if os.environ.get("CI") else "search")
