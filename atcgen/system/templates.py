"""Read the templates: inside the wheel when installed, at the top of the checkout otherwise."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
_ROOMS = ("nginx", "supervisor")


def read_templates() -> dict[str, str]:
    """Every template and page by its path, such as nginx/tenant.conf.j2."""
    packed = _PACKAGE / "templates"
    root = packed if packed.is_dir() else _PACKAGE.parent
    return {
        str(path.relative_to(root)): path.read_text(encoding="utf-8")
        for room in _ROOMS
        for path in sorted((root / room).rglob("*"))
        if path.is_file()
    }
