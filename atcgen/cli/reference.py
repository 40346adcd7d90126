"""`atc reference`: what `make docs` runs."""

from __future__ import annotations

from pathlib import Path

import click

from atcgen.compiler.platforms_page import platforms_page
from atcgen.compiler.reference import configuration_page, diagnostics_page
from atcgen.system.templates import read_templates


@click.command("reference", hidden=True)
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def command(directory: Path) -> None:
    """Write configuration.md, platforms.md and diagnostics.md to a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, page in (
        ("configuration.md", configuration_page()),
        ("platforms.md", platforms_page()),
        ("diagnostics.md", diagnostics_page(read_templates())),
    ):
        (directory / name).write_text(page, encoding="utf-8")
