"""The shipped benchmarks, one TOML file each, in a folder for each dataset."""

from __future__ import annotations

from pathlib import Path

from ganbench import Benchmark, hookimpl

FOLDER = Path(__file__).parent


@hookimpl
def ganbench_benchmarks() -> list[Benchmark]:
    return [Benchmark.from_toml(path) for path in sorted(FOLDER.glob("*/*.toml"))]
