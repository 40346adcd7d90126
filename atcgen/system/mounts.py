"""Mount namespaces of processes, by the programs of util-linux."""

from __future__ import annotations

import os
import shutil
import subprocess

_NOBODY = "65534"
_TRIED = 'mount --bind / / && exec setpriv --reuid "$1" --regid "$1" --clear-groups true'


def can_mount() -> bool:
    """Can a process be given mounts of its own, and then another unix user? Containers often forbid it: it is tried."""
    if os.geteuid() != 0 or any(shutil.which(each) is None for each in ("unshare", "mount", "setpriv")):
        return False
    words = ["unshare", "--mount", "--propagation", "slave", "/bin/sh", "-c", _TRIED, "sh", _NOBODY]
    return not subprocess.run(words, capture_output=True, check=False).returncode
