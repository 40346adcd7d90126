"""Does a machine start again when its main process ended? Pure."""

from __future__ import annotations

from simulator.config import Restart

_WINDOW = 300.0  # seconds in which restarts are counted


class Restarts:
    """The ends of one machine's main process."""

    def __init__(self) -> None:
        self._ended_at: list[float] = []

    def wanted(self, policy: Restart, status: int, now: float) -> bool:
        """Note an end; is the machine to be started again?"""
        self._ended_at = [*(each for each in self._ended_at if each > now - _WINDOW), now]
        asked = policy.policy == "always" or (policy.policy == "on-failure" and status != 0)
        return asked and len(self._ended_at) <= policy.max_retries
