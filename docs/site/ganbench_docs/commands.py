"""The page of all commands, from the command line itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from ganbench.cli import app

from .markdown import code, page, table, text


def commands_page() -> str:
    """Return the reference of `ganbench`: each command with its arguments and options."""
    root: Any = get_command(app)
    blocks = [
        "Each command with all its arguments and options, as `--help` prints them. "
        "[Exit codes](exit-codes.md) say how a command ended.",
        table(
            ["Command", "Purpose"],
            [
                [f"[`{name}`](#{name.replace(' ', '-')})", text(command.help.split("\n\n")[0])]
                for name, command in leaves("ganbench", root)
            ],
        ),
        "Options of `ganbench` itself, before the command:\n",
        parameters_table(root, root.make_context("ganbench", [], resilient_parsing=True)),
    ]
    for name, command in leaves("ganbench", root):
        context = command.make_context(name, [], resilient_parsing=True)
        blocks += [
            f"## {name}",
            text(command.help),
            code(" ".join([name, *command.collect_usage_pieces(context)]), "text"),
            parameters_table(command, context),
        ]
    return page("Commands", *blocks)


def leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Yield all commands below a group with their full names."""
    for part, child in getattr(command, "commands", {}).items():
        if hasattr(child, "commands"):
            yield from leaves(f"{name} {part}", child)
        else:
            yield f"{name} {part}", child


def parameters_table(command: Any, context: Any) -> str:
    rows = []
    for parameter in command.get_params(context):
        if record := parameter.get_help_record(context):
            names, described = record
            if parameter.param_type_name == "argument":
                names = names.partition(" <")[0]  # without its type
            rows.append([f"`{names.strip()}`", text(described)])
    return table(["Argument or option", "Description"], rows)
