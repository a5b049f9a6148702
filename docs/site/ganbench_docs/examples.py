"""The page of complete plugins in docs/examples, and that of the notebook."""

from __future__ import annotations

import ast
import json
from pathlib import Path

from .markdown import code, page, sentence, table, text


def examples_page(folder: Path) -> str:
    """Return the page with the code of every example."""
    files = sorted(folder.glob("*.py"))
    said = {file: ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "" for file in files}
    return page(
        "Examples",
        "Complete plugins, each in one file, which the tests run. `ganbench run BENCHMARK -p FILE` loads one; the "
        "docstring has the command. [Plugins](plugins.md) describes the parts.",
        table(["File", "Shows"], [[f"[`{f.name}`](#{f.stem})", text(sentence(said[f]))] for f in files]),
        *(
            block
            for file in files
            for block in (f"## {file.name} {{ #{file.stem} }}", code(file.read_text(encoding="utf-8")))
        ),
    )


def notebook_page(file: Path) -> str:
    """Return a notebook without outputs as a page."""
    blocks = []
    for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        blocks.append(source if cell["cell_type"] == "markdown" else code(source))
    return "\n\n".join([blocks[0], f"[Download this notebook]({file.name}).", *blocks[1:]]) + "\n"
