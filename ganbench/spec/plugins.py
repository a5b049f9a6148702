"""The plugins to load for a command: those installed, those given with -p, and those that a run was started with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganbench.plugin.registry import Registry


def load_registry(
    plugins: list[str], benchmark: str | None = None, resume: Path | None = None, use: Iterable[Path] = ()
) -> Registry:
    """Load all plugins, including those that a resumed run, and the run of a spec.toml, were started with.

    Also loads those of the runs to `use`, which need not have all of them, and those of the trackers of a resumed run;
    warns of each that cannot be loaded.
    """
    from ganbench.plugin.registry import Registry
    from ganbench.spec.launch import plugins_for_spec, plugins_of_trackers, plugins_to_resume, plugins_to_use

    optional: list[str] = []
    if resume is not None:
        optional += plugins_of_trackers(plugins, resume)
        plugins = plugins_to_resume(plugins, resume)
    if benchmark is not None:
        plugins = plugins_for_spec(plugins, benchmark)
    for run in use:
        optional += plugins_to_use([*plugins, *optional], run)
    return Registry.load(plugins, optional)
