"""What a machine is called, and where it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Identity:
    """What a machine is called and where it is; the address may change."""

    id: str
    name: str
    app: str
    region: str
    address: str
    api_socket: Path
    extra_env: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)  # variables of its app
    services: dict[str, str] = field(default_factory=dict)  # where each listens, as it is filled in
