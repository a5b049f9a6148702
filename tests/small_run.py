"""A run of the homework's benchmark that takes about a second, on the CPU."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from run_spec import run
from short_epochs import SMALL_FASHION

from ganbench import Registry
from ganbench.results.run_directory import RunDirectory
from ganbench.results.schema import Result
from ganbench.spec.loading import find_published_curve, load_spec


def small_run(
    registry: Registry, out: Path, overrides: Iterable[str] = (), **arguments: Any
) -> tuple[Result, RunDirectory]:
    spec = load_spec("dcgan-fashion", registry, [*SMALL_FASHION, *overrides])
    curve = find_published_curve("dcgan-fashion", registry)
    return run(spec, device="cpu", out=out, published_curve=curve, **arguments)
