"""A tenant whose own speed does not matter: becomes a small nginx that answers 1 KB to everything.

Listens on the unix socket in SOCKET and writes its configuration beside it.
"""

from __future__ import annotations

import os
from pathlib import Path

CONFIGURATION = """
daemon off;
master_process off;
pid {socket}.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    default_type text/html;
    server {{
        listen unix:{socket};
        location / {{ return 200 "{body}"; }}
    }}
}}
"""


def main() -> None:
    """Write the configuration and become nginx."""
    home = os.environ["SOCKET"]
    file = Path(f"{home}.conf")
    file.write_text(CONFIGURATION.format(socket=home, body="x" * 1024), encoding="ascii")
    os.execvp("nginx", ["nginx", "-c", str(file), "-e", "stderr"])


if __name__ == "__main__":
    main()
