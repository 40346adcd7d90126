"""The stores of the replica's tests, for histories."""

from __future__ import annotations

from tests.replica.conftest import moto, place, rclone, store

__all__ = ["moto", "place", "rclone", "store"]
