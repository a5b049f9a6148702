"""`ganbench schema`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ganbench.errors import UsageError
from ganbench.spec.plugins import load_registry

from .console import PluginArguments, given_path, out, print_json, print_text


class Content(StrEnum):
    SPEC = "spec"
    SUITE = "suite"
    RESULT = "result"


def schema(
    content: Annotated[Content, typer.Argument(metavar="spec|suite|result", help="File that the schema describes.")],
    file: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", parser=given_path, help="Write the schema to this file; default: print it."
        ),
    ] = None,
    plugins: PluginArguments = [],  # noqa: B006 - never modified
) -> None:
    """Print the JSON schema of specs or suites, with the options of all installed plugins, or of result.json."""
    from ganbench.results.schema import result_schema
    from ganbench.spec.json_schema import spec_schema, suite_schema
    from ganbench.spec.schema_files import write_schema
    from ganbench.system.files import explained_write, require_output_file

    if file is not None and file.suffix != ".json":  # a forgotten name must not overwrite a spec
        raise UsageError(f"--out {file}: the name of the schema must end in .json")
    if file is not None:
        require_output_file(file, "--out")
    if content == Content.RESULT:
        made = result_schema()
    else:
        make = {Content.SPEC: spec_schema, Content.SUITE: suite_schema}[content]
        made = make(load_registry(plugins).all_plugins())
    if file is None:
        print_json(made)
        return
    with explained_write(file):
        write_schema(file, made)
    text = f"{file}: JSON schema of a {content}"
    if content != Content.RESULT:
        text += f"; for editors, begin a TOML file in the same folder with the line\n#:schema {file.name}"
    print_text(out, text)
