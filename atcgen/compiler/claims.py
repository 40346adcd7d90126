"""Who wants to answer which URL, and where in atc.yml that is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from atcgen.compiler.routes import infer
from atcgen.compiler.schema import App, Config
from atcgen.compiler.source import Document, Path
from atcgen.compiler.values import url_path
from atcgen.diagnostics import Position


@dataclass(frozen=True)
class Claim:
    """A tenant: what it is called, the path it wants to answer, and where that is written."""

    id: str
    path: str | None  # without outer slashes; None: it answers a host
    origin: Path
    position: Position
    is_route: bool
    apps: tuple[tuple[App, Path], ...]  # from the top down
    env: Mapping[str, str]  # of all levels

    def app(self, key: str) -> tuple[object, Path]:
        """A key of the lowest `app` that says something, and where that is."""
        for app, origin in reversed(self.apps):
            if key in app.model_fields_set:
                return getattr(app, key), (*origin, key)
        app, origin = self.apps[0]
        return getattr(app, key), (*origin, key)


def read_claims(document: Document, config: Config) -> list[Claim]:
    """Every tenant, in order of the file."""
    return sorted(_claims(document, config), key=lambda each: each.position)


def _claims(document: Document, config: Config) -> Iterator[Claim]:
    top = (config.app, ("app",))
    for user, section in config.users.items():
        above: Path = ("users", user, "tenants")
        spelt = spellings(document, above)
        for path, tenant in section.tenants.items():
            name = f"{user}/{path}".rstrip("/")
            origin = (*above, spelt[path])
            apps = (top, (section.app, ("users", user, "app")), (tenant.app, (*origin, "app")))
            env = config.app.env | section.app.env | section.env | tenant.app.env | tenant.env
            yield Claim(name, None if tenant.host else name, origin, document.at(origin), False, apps, env)
    for index, route in enumerate(config.routes):
        endpoint = infer(route).endpoint
        place: Path = ("routes", index)
        url = None if route.host else endpoint
        name = endpoint or route.host or ""
        env = config.app.env | route.app.env | route.env
        yield Claim(name, url, place, document.at(place), True, (top, (route.app, (*place, "app"))), env)
    if config.is_alone:
        yield Claim("", "", ("app",), document.at(("app",)), True, (top,), config.app.env)


def spellings(document: Document, path: Path) -> dict[str, str]:
    """The keys of a mapping by the URL path each means, as they are written: `/2025/winter/` is `2025/winter`."""
    return {url_path(key): key for key in reversed(written_keys(document, path))}


def written_keys(document: Document, path: Path) -> list[str]:
    """The keys of a mapping as they are spelt; none when there is no mapping."""
    data = document.data
    for part in path:
        try:
            data = data[part]
        except (KeyError, TypeError):
            return []
    return list(data) if isinstance(data, dict) else []
