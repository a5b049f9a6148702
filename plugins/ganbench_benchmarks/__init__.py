"""The shipped benchmarks, one TOML file each, in a folder for each dataset."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ganbench import Benchmark, hookimpl

FOLDER = Path(__file__).parent


@hookimpl
def ganbench_benchmarks() -> list[Benchmark]:
    return list(shipped())


@cache
def shipped() -> tuple[Benchmark, ...]:
    return tuple(Benchmark.from_toml(path) for path in sorted(FOLDER.glob("*/*.toml")))
