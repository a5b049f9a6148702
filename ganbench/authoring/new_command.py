"""`ganbench plugin new`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganbench.reporting.console import out, print_text
from ganbench.spec.plugins import load_registry

from .new import TEMPLATES, new_package, write_package


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the plugin, such as my-loss.")],
    kind: Annotated[str, typer.Option(metavar="KIND", help=f"Kind of the plugin: {', '.join(TEMPLATES)}.")],
    folder: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="New folder for the package; default: ganbench-NAME.")
    ] = None,
) -> None:
    """Create a pip-installable plugin package: a working plugin, a test by its contract, and a CI build."""
    package = new_package(name, kind, load_registry([]))
    folder = folder or Path(package.distribution)
    for path in write_package(package, folder):
        print_text(out, str(path))
    print_text(out, f'Next: cd {folder}, pip install -e ".[test]", pytest. README.md has the commands.')
