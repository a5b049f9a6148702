"""The page of a spec's fields, from its schema."""

from __future__ import annotations

import inspect

from ganbench.plugin.options import StrictModel
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.sections import Optimizers, sections

from .fields import options_table
from .markdown import page
from .plugins import kind_links


def spec_page() -> str:
    """Return the reference of a benchmark's TOML file: its tables and their fields."""
    parts: dict[str, type[StrictModel]] = {"optimizer": Optimizers, **sections()}
    links = {**kind_links("plugins/"), **{section.__name__: f"[table](#{name})" for name, section in parts.items()}}
    lists = {name for name, field in BenchmarkSpec.model_json_schema()["properties"].items() if "items" in field}
    blocks = [
        "The fields of a benchmark's TOML file, which `ganbench show BENCHMARK` prints completely. "
        "On the command line, `-o PATH=VALUE` sets one of them: `-o training.batch_size=128`.",
        "## All tables",
        options_table(BenchmarkSpec, links),
    ]
    for name, section in parts.items():
        own = section.__dict__.get("__doc__")
        shown = f"`[[{name}]]`" if name in lists else f"`[{name}]`"
        blocks += [f"## {name}", f"{shown}: {inspect.cleandoc(own)}" if own else shown, options_table(section, links)]
    return page("Spec", *blocks)
