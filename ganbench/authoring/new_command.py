"""`ganbench plugin new`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganbench.plugin.kinds import Kind
from ganbench.reporting.console import given_path, out, print_text


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the plugin, such as my-loss.")],
    kind: Annotated[str, typer.Option(metavar="KIND", help=f"Kind of the plugin: {', '.join(Kind)}.")],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", parser=given_path, help="New folder for the package; default: ganbench-NAME."
        ),
    ] = None,
) -> None:
    """Create a pip-installable plugin package: a working plugin, a test by its contract, and a CI build."""
    from ganbench.spec.plugins import load_registry

    from .new import new_package, write_package

    package = new_package(name, kind, load_registry([]))
    folder = folder or Path(package.distribution)
    for path in write_package(package, folder):
        print_text(out, str(path))
    print_text(out, f'Next: cd {folder}, pip install -e ".[test]", pytest. README.md has the commands.')
