"""What the API refuses."""

from __future__ import annotations

from aiohttp import web


class Problem(Exception):
    """An answer that is not a success; `kind` is one of the words that clients may compare."""

    def __init__(self, status: int, error: str, kind: str = "unknown") -> None:
        super().__init__(error)
        self.status = status
        self.kind = kind

    def response(self) -> web.Response:
        """As the API says it."""
        return web.json_response({"error": str(self), "status": self.kind}, status=self.status)
