"""Routes in the form of fly-atc, completed: name, endpoint and database follow from each other."""

from __future__ import annotations

import re
from dataclasses import dataclass

from atcgen.compiler.schema import Route

_INDEX = "index"


@dataclass(frozen=True)
class Inferred:
    """What a route says with everything filled in; an endpoint has no outer slashes, '' is the root."""

    name: str
    endpoint: str
    database: str


def infer(route: Route) -> Inferred:
    """Fill in what a route leaves out.

    An endpoint follows from the name, or from the database when there is no name; a route without either, or named
    `index`, is the root. A route without name and endpoint but with a database has the database's name.
    """
    name, endpoint, database = route.name, route.endpoint, route.database
    if endpoint is None:
        word = slug(name or database or _INDEX)
        endpoint = "" if word == _INDEX else word
    last = endpoint.rsplit("/", 1)[-1] or _INDEX
    return Inferred(name or last, endpoint, database or slug(name or "") or last)


def slug(text: str) -> str:
    """A name as a segment of a URL: `Sam & Co.` is `sam-co`."""
    return re.sub(r"[^a-z0-9._~@+-]+", "-", text.lower()).strip("-.")
