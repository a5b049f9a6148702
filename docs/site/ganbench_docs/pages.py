"""All generated pages, by their path on the site."""

from __future__ import annotations

from pathlib import Path

from ganbench.plugin.kinds import Kind
from ganbench.plugin.registry import Registry

from .commands import commands_page
from .examples import examples_page, notebook_page
from .exit_codes import exit_codes_page
from .hooks import hooks_page, interfaces_page
from .json_output import json_page
from .plugins import plugins_index, plugins_page
from .python_api import python_page
from .result import result_page
from .spec import spec_page


def generated_pages(docs: Path) -> dict[str, str]:
    """Return the Markdown of every page that is made from the code or from files other than Markdown."""
    registry = Registry.load()
    return {
        "examples.md": examples_page(docs / "examples"),
        "notebook.md": notebook_page(docs / "quickstart.ipynb"),
        "reference/commands.md": commands_page(),
        "reference/spec.md": spec_page(),
        "reference/result.md": result_page(),
        "reference/json.md": json_page(),
        "reference/exit-codes.md": exit_codes_page(),
        "reference/hooks.md": hooks_page(),
        "reference/interfaces.md": interfaces_page(),
        "reference/python.md": python_page(),
        "reference/plugins/index.md": plugins_index(registry),
        **{f"reference/plugins/{kind.plural}.md": plugins_page(kind, registry) for kind in Kind},
    }
