"""The plugins to load for a command: those installed, those given with -p, and those that a run was started with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganbench.plugin.registry import Registry


def load_registry(plugins: list[str], benchmark: str | None = None, resume: Path | None = None) -> Registry:
    """Load all plugins, including those that a resumed run, and the run of a spec.toml, were started with."""
    from ganbench.plugin.registry import Registry
    from ganbench.spec.launch import plugins_for_spec, plugins_to_resume

    if resume is not None:
        plugins = plugins_to_resume(plugins, resume)
    if benchmark is not None:
        plugins = plugins_for_spec(plugins, benchmark)
    return Registry.load(plugins)
