"""The environment of a machine: the platform's variables, and those that lead to the simulator in its place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.identity import Identity

if TYPE_CHECKING:
    from simulator.machine import Machine


def environment(machine: Machine, rootfs: Path) -> dict[str, str]:
    """What the main process finds."""
    identity, config = machine.identity, machine.config
    said = {**identity.secrets, **config.env}
    own = {name: filled(value, identity, rootfs, machine.volume) for name, value in said.items()}
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(rootfs),
        "LANG": "C.UTF-8",
        **own,
        "FLY_APP_NAME": identity.app,
        "FLY_MACHINE_ID": identity.id,
        "FLY_ALLOC_ID": identity.id,
        "FLY_REGION": identity.region,
        "FLY_PRIVATE_IP": identity.address,
        "FLY_PUBLIC_IP": identity.address,
        "FLY_IMAGE_REF": config.image,
        "FLY_MACHINE_VERSION": machine.instance_id,
        "FLY_PROCESS_GROUP": config.metadata.get("fly_process_group", ""),
        "FLY_VM_MEMORY_MB": str(config.guest.memory_mb),
        "FLY_API_SOCKET": str(identity.api_socket),
        **identity.extra_env,
    }


def filled(text: str, identity: Identity, rootfs: Path, volume: Path | None) -> str:
    """Text with the places and names of a machine in it; other braces stay as they are."""
    known = {
        "address": identity.address,
        "app": identity.app,
        "id": identity.id,
        "region": identity.region,
        "rootfs": str(rootfs),
        "volume": str(volume or rootfs),
        "here": os.getcwd(),  # where the simulator was started
        **identity.services,
    }
    for name, value in known.items():
        text = text.replace(f"{{{name}}}", value)
    return text
