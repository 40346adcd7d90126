"""The agent: starts tenants on demand, stops them when idle, applies new generations.

lifecycle.py is the pure core; service.py runs its commands; the other modules are its eyes and hands.
"""

from __future__ import annotations

import sys

# asyncio and http.client load OpenSSL if it is there, which is a sixth of the memory. Where the agent speaks TLS, which
# it does to few and seldom, it does so by other means. Python says `-m` while it looks for the module to run.
if sys.argv[:1] == ["-m"] and "asyncio" not in sys.modules:
    sys.modules["ssl"] = None  # type: ignore[assignment]  # Python's way to say that there is no such module
    import asyncio  # noqa: F401
    import http.client  # noqa: F401

    del sys.modules["ssl"]
