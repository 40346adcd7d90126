"""What all machines of an app of Fly.io have in common, in the words of the Machines API."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from atcgen.compiler.machines import Guest, MachinePlan

FLEET, USER, REGION, DIGEST = "atc_fleet", "atc_user", "atc_region", "atc_digest"  # keys of a machine's metadata


@dataclass(frozen=True)
class Shape:
    """The part that atc.yml says once."""

    app: str
    port: int
    health: str
    kill_timeout: int  # seconds
    mount: str
    state: str  # the state directory, on the same disk
    guest: Guest
    volume_gb: int
    image: str  # '' when nothing says it

    def machine_config(self, plan: MachinePlan, image: str, volume: str) -> dict[str, Any]:
        """The whole configuration of one machine."""
        common = self._common(plan)
        owner = {USER: plan.user} if plan.user else {REGION: plan.region}
        metadata = {FLEET: self.app, **owner, DIGEST: self.digest(plan)}
        return {
            **common,
            "image": image,
            "mounts": [{"volume": volume, "path": self.mount}],
            "metadata": metadata,
        }

    def digest(self, plan: MachinePlan) -> str:
        """Names what is wanted besides image and volume; the API spells it in its own way, so it is not compared."""
        return hashlib.sha256(json.dumps([self._common(plan), self.mount], sort_keys=True).encode()).hexdigest()[:12]

    def _common(self, plan: MachinePlan) -> dict[str, Any]:
        return {
            "guest": {"cpu_kind": plan.guest.kind, "cpus": plan.guest.cpus, "memory_mb": plan.guest.memory_mb},
            "services": [self._service()],
            "restart": {"policy": "on-failure"},
            "stop_config": {"signal": "SIGTERM", "timeout": f"{self.kill_timeout}s"},
        }

    def _service(self) -> dict[str, Any]:
        return {
            "protocol": "tcp",
            "internal_port": self.port,
            "autostart": True,
            "autostop": "off",  # machines suspend themselves: the proxy would stop one every few minutes
            "min_machines_running": 0,
            "ports": [
                {"port": 80, "handlers": ["http"], "force_https": True},
                {"port": 443, "handlers": ["tls", "http"]},
            ],
            "checks": [
                {
                    "type": "http",
                    "method": "GET",
                    "path": self.health,
                    "interval": "30s",
                    "timeout": "5s",
                    "grace_period": "10s",
                }
            ],
        }
