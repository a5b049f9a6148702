"""`ganbench list`, `ganbench show` and `ganbench plugins`: what can be run, and with which plugins."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ganbench.errors import ExitCode, UsageError
from ganbench.spec.plugins import load_registry

from .console import AsJson, Overrides, PluginArguments, out, print_json, print_text

if TYPE_CHECKING:
    from ganbench.plugin.kinds import Kind


def list_plugins(
    kind: Annotated[
        str | None, typer.Argument(metavar="[KIND]", help="Kind to list: benchmarks, models, losses, ...")
    ] = None,
    plugins: PluginArguments = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """List all plugins, including benchmarks, or those of one kind."""
    from .plugin_tables import list_table

    registry = load_registry(plugins)
    found = registry.all_plugins() if kind is None else registry.of_kind(parse_kind(kind))
    if as_json:
        print_json([{"summary": registered.plugin.summary, **registered.record()} for registered in found])
    else:
        out.print(list_table(found))


def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Benchmark, TOML file, plugin or spec section.")],
    overrides: Overrides = [],  # noqa: B006
    plugins: PluginArguments = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Show the spec of a benchmark as TOML, the options of a plugin, or the fields of a section of a spec.

    A spec can be saved, edited and run. The sections are training, data, engine, ema, scoring, sample_images, targets,
    references, checkpoint and gate.
    """
    from ganbench.plugin.kinds import Kind
    from ganbench.plugin.registrations import Buildable
    from ganbench.spec.configs import CONFIGS, engine_options
    from ganbench.spec.loading import is_spec_file, load_spec
    from ganbench.spec.schema_files import SPEC, schema_line
    from ganbench.spec.sections import sections

    from .plugin_tables import options_table

    registry = load_registry(plugins, name)
    if name in sections() and not overrides:
        if as_json:
            print_json(sections()[name].model_json_schema())
        else:
            out.print(options_table(sections()[name], title=f"[{name}]".replace("[", "\\[")))
        return
    found = [] if is_spec_file(name, registry) else registry.named(name)
    if not found or any(registered.plugin.kind == Kind.BENCHMARK for registered in found):
        spec = load_spec(name, registry, overrides)
        if as_json:
            print_json(spec.to_dict())
        elif out.is_terminal:
            from rich.syntax import Syntax

            toml = spec.to_toml()  # long lines are not cut
            out.print(Syntax(toml, "toml", background_color="default").highlight(toml), soft_wrap=True, end="")
        else:
            out.file.write(schema_line(SPEC) + spec.to_toml())
        return
    if overrides:
        raise UsageError(f"-o applies to benchmarks only; '{name}' is not a benchmark")
    options = [
        (registered, registered.plugin.options) for registered in found if isinstance(registered.plugin, Buildable)
    ]
    if as_json:
        print_json({registered.plugin.kind: model.model_json_schema() for registered, model in options})
        return
    for registered, model in options:
        out.print(f"{registered}: {registered.plugin.summary}", markup=False, highlight=False)
        out.print(options_table(model))
        config = CONFIGS[registered.plugin.kind]
        if config.engine_keys():
            out.print(options_table(engine_options(config), title=f"Options of every {registered.plugin.kind}"))


def show_plugins(
    plugins: PluginArguments = [],  # noqa: B006
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 5 if a plugin failed to load.")] = False,
    as_json: AsJson = False,
) -> None:
    """List plugins by package, with load failures and causes."""
    from .plugin_tables import plugins_table

    registry = load_registry(plugins)
    if as_json:
        print_json(
            {
                "plugins": [registered.record() for registered in registry.all_plugins()],
                "failures": [asdict(failure) for failure in registry.failures],
            }
        )
    else:
        out.print(plugins_table(registry))
        for failure in registry.failures:
            out.print("[bold red]failed:[/] ", end="")
            print_text(out, str(failure))
    if strict and registry.failures:
        raise typer.Exit(ExitCode.FAILED)


def parse_kind(text: str) -> Kind:
    """Return a kind by its singular or plural name. Raises `UsageError` for anything else."""
    from ganbench.plugin.kinds import Kind

    if (kind := Kind.named(text)) is not None:
        return kind
    raise UsageError(f"unknown kind '{text}'; available: {', '.join(kind.plural for kind in Kind)}")
