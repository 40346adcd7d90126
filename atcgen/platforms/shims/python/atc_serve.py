"""Serves the application in the current directory: atc_serve.py FRAMEWORK SOCKET, by its own gunicorn or uvicorn.

What the application's gunicorn.conf.py says wins over what is said here, and GUNICORN_CMD_ARGS or UVICORN_* over both.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# A stop waits for open answers, and then not until it is killed.
GRACE = 8


def main(framework: str, socket: str) -> None:
    """Does not return."""
    # Only what the application has may be found by a short name: this directory comes last.
    here = str(Path(__file__).parent)
    sys.path[:] = [os.getcwd(), *(each for each in sys.path if each != here), here]
    server, module = _server(framework)
    if find_spec(server) is None:
        sys.exit(f"{server} is missing: add it to the application's requirements, and install it into its environment")
    if server == "uvicorn":
        _uvicorn(module, socket)
    else:
        _gunicorn(module, socket)


def _server(framework: str) -> tuple[str, str]:
    """The server, and the module of ours that has the application."""
    if framework == "django":
        return ("uvicorn", "atc_django_asgi") if _has_channels() else ("gunicorn", "atc_django_wsgi")
    return ("gunicorn", "atc_flask") if framework == "flask" else ("uvicorn", "atc_asgi")


def _has_channels() -> bool:
    """Does a Django project use what is installed?"""
    if not find_spec("channels"):
        return False
    return bool(getattr(import_module(os.environ["DJANGO_SETTINGS_MODULE"]), "ASGI_APPLICATION", None))


def _gunicorn(module: str, socket: str) -> None:
    from gunicorn.app.wsgiapp import WSGIApplication

    class Server(WSGIApplication):  # type: ignore[misc]
        """gunicorn with other defaults."""

        def load_default_config(self) -> None:
            super().load_default_config()
            said: dict[str, Any] = {
                "wsgi_app": f"{module}:application",
                "threads": 16,
                "graceful_timeout": GRACE,
                "keepalive": 75,  # longer than nginx keeps a connection that nobody uses
                "control_socket_disable": True,  # all processes of a user would share it
                "forwarder_headers": "",  # the prefix comes from the environment alone
                **({"worker_tmp_dir": "/dev/shm"} if os.path.isdir("/dev/shm") else {}),
            }
            for name, value in said.items():
                if name in self.cfg.settings:  # each since some version of gunicorn
                    self.cfg.set(name, value)

    sys.argv = ["gunicorn", "--bind", f"unix:{socket}"]
    Server("%(prog)s [OPTIONS] [APP_MODULE]").run()


def _uvicorn(module: str, socket: str) -> None:
    from uvicorn.main import main as uvicorn

    os.environ.setdefault("UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN", str(GRACE))
    # Nobody but nginx can reach the socket.
    os.environ.setdefault("FORWARDED_ALLOW_IPS", "*")
    uvicorn(["--uds", socket, "--no-access-log", f"{module}:application"])


if __name__ == "__main__":
    main(*sys.argv[1:])
