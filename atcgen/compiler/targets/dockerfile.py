"""A Dockerfile for an application that has none: Debian, nginx, atc, and the application beside them."""

from __future__ import annotations

import json
import posixpath

APP = "/srv/app"  # where the application is in the image

_TEXT = """\
# Your application with atc in front of it. Build it in a directory that holds a checkout of atc as atc/, and your
# application with its atc.yml as app/.
FROM debian:12-slim

RUN apt-get update \\
    && apt-get install -y --no-install-recommends nginx python3 python3-venv \\
    && rm -rf /var/lib/apt/lists/*

# Python's packages are kept apart from Debian's.
COPY atc /usr/src/atc
RUN python3 -m venv /opt/atc && /opt/atc/bin/pip install --no-cache-dir /usr/src/atc
ENV PATH="/opt/atc/bin:$PATH"

COPY app {app}
WORKDIR {app}

# The state directory holds the secret that tenants' secrets follow from: keep it beside the data.
VOLUME {mount}
EXPOSE {port}
ENTRYPOINT ["atc", "run"]
CMD {arguments}
"""


def state_beside(volume: str) -> tuple[str, str]:
    """Where the disk is mounted that holds the data of tenants, and where the state directory is on it.

    Around the directory of the data, unless that would hide the application.
    """
    volume = posixpath.normpath(volume)
    above = posixpath.dirname(volume)
    if above == "/" or f"{APP}/".startswith(f"{above}/"):
        return volume, f"{volume}/.atc"
    return above, f"{above}/atc"


def dockerfile(port: int, mount: str, state: str) -> str:
    """The text of the file."""
    return _TEXT.format(app=APP, mount=mount, port=port, arguments=json.dumps(["--state", state]))
