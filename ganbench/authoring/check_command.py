"""`ganbench plugin check`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganbench.errors import ExitCode, UsageError
from ganbench.reporting.console import AsJson, DataDir, PluginArguments, out, print_json, print_text
from ganbench.spec.plugins import load_registry
from ganbench.system.files import default_data_dir

if TYPE_CHECKING:
    from ganbench.plugin.registry import Registered, Registry

    from .check import CheckedRule


def check(
    target: Annotated[str, typer.Argument(metavar="NAME|FILE.py", help="Name of a plugin, or a file with plugins.")],
    overrides: Annotated[
        list[str],
        typer.Option("-o", "--override", metavar="KEY=VALUE", help="Set an option of the plugin; repeatable."),
    ] = [],  # noqa: B006 - never modified
    partners: Annotated[
        list[str],
        typer.Option(
            "--with",
            metavar="KIND=NAME",
            help="Model or loss with which the plugin is tested, for a plugin that needs a particular one; "
            "KIND.KEY=VALUE sets an option of it; repeatable.",
        ),
    ] = [],  # noqa: B006
    plugins: PluginArguments = [],  # noqa: B006
    shape: Annotated[
        str, typer.Option(metavar="CxHxW|D", help="Shape of the images, or dimension of the vectors.")
    ] = "1x28x28",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Check a plugin by the contract of its kind, rule by rule; exit with 5 if it breaks a rule."""
    data_shape = parse_shape(shape)
    is_file = target.endswith(".py")
    registry = load_registry([*plugins, target] if is_file else plugins)
    found = plugins_in_file(target, registry) if is_file else registry.named(target)

    from ganbench.spec.overrides import apply_overrides

    from .check import Conditions
    from .check import check as check_rules

    given = apply_overrides({}, partners, "--with", "KIND=NAME, such as --with model=my-model")
    file = target if is_file and len({each.plugin.name for each in found}) > 1 else None
    conditions = Conditions(apply_overrides({}, overrides), data_shape, data_dir or default_data_dir(), given, file)
    results = []
    for registered in found:
        if not as_json:
            print_text(out, str(registered))
        rules = []
        for rule in check_rules(registered, conditions, registry):
            rules.append(rule)
            if not as_json:
                print_rule(rule)
        results.append((registered, rules))
    all_rules = [rule for _, rules in results for rule in rules]
    broken = [rule for rule in all_rules if rule.failure]
    if as_json:
        print_json(
            [{**registered.record(), "rules": [asdict(rule) for rule in rules]} for registered, rules in results]
        )
    else:
        skipped = sum(rule.skipped is not None for rule in all_rules)
        out.print(
            f"{len(broken)} of {len(all_rules)} rules broken" + (f"; {skipped} skipped" if skipped else ""),
            highlight=False,
        )
    if broken:
        raise typer.Exit(ExitCode.FAILED)


def print_rule(checked: CheckedRule) -> None:
    """Print a rule, and the reason if the plugin does not keep it."""
    mark = "[bold red]fail[/]" if checked.failure else "[dim]skip[/]" if checked.skipped else "[green]pass[/]"
    out.print(f"  {mark}", end="")
    print_text(out, f"  {checked.rule}")
    if reason := checked.failure or checked.skipped:
        print_text(out, f"        {reason}")


def plugins_in_file(path: str, registry: Registry) -> list[Registered]:
    """Return the plugins that a file given with -p provides. Raises `UsageError` if there are none."""
    given = str(Path(path).resolve())
    found = [registered for registered in registry.all_plugins() if registered.provider.given == given]
    if not found:
        raise UsageError(f"{path}: no plugins in this file; it needs a function such as ganbench_losses with @hookimpl")
    return found


def parse_shape(text: str) -> tuple[int, ...]:
    """Return `(channels, height, width)` or `(features,)`. Raises `UsageError` for anything else."""
    parts = text.split("x")
    if len(parts) not in (1, 3) or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"--shape {text}: expected CxHxW, such as 3x32x32, or the dimension of vectors, such as 2")
    return tuple(int(part) for part in parts)
