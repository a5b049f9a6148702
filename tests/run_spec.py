"""Runs a spec, with all arguments as keywords."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganbench.plugin.callbacks import Callback
from ganbench.results.run_directory import RunDirectory
from ganbench.results.schema import Result
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.training import runner
from ganbench.training.arguments import RunArguments


def run(
    spec: BenchmarkSpec,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    callback: Callback | None = None,
    **arguments: Any,
) -> tuple[Result, RunDirectory]:
    """Train, time and score a benchmark; `arguments` are those of `RunArguments`."""
    return runner.run(spec, RunArguments(**arguments), out=out, resume=resume, callback=callback)
