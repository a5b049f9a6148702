"""Compare fast dropout with torch's, interleaved: time, and the statistics of many masks.

python -m benchmarks.dropout
"""

from __future__ import annotations

import math
from statistics import median
from time import perf_counter

import torch
from rich.console import Console
from rich.table import Table
from torch.nn import functional

from ganbench.runtime.dropout import fast_dropout

P = 0.3
ROUNDS = 50
SHAPES = ((16, 16, 16), (64, 8, 14, 14), (64, 64, 14, 14), (64, 256, 7, 7))
DRAWS = 10**8  # elements, for the statistics


def main() -> None:
    table = Table("elements", "torch, ms", "fast, ms", title=f"Dropout with p = {P}, median of {ROUNDS}")
    for shape in SHAPES:
        values = torch.randn(shape)
        milliseconds: dict[str, list[float]] = {"torch": [], "fast": []}
        for _ in range(ROUNDS):
            milliseconds["torch"].append(time_dropout(values))
            with fast_dropout():
                milliseconds["fast"].append(time_dropout(values))
        table.add_row(f"{values.numel():,}", *(f"{median(each):.3f}" for each in milliseconds.values()))
    console = Console()
    console.print(table)
    print_statistics(console)


def time_dropout(values: torch.Tensor) -> float:
    start = perf_counter()
    functional.dropout(values, P)
    return 1000 * (perf_counter() - start)


def print_statistics(console: Console) -> None:
    """Print how far the mean and the correlation of neighboring elements are from their expectation."""
    chunk, dropped, both = 10**7, 0, 0
    with fast_dropout():
        for _ in range(DRAWS // chunk):
            mask = functional.dropout(torch.ones(chunk), P) == 0
            dropped += int(mask.sum())
            both += int((mask[1:] & mask[:-1]).sum())
    mean, pairs = dropped / DRAWS, both / (DRAWS - DRAWS // chunk)
    deviations = (mean - P) / math.sqrt(P * (1 - P) / DRAWS)
    correlation = (pairs - mean**2) / (mean * (1 - mean))
    console.print(f"{DRAWS:,} elements: dropped {mean:.6f} ({deviations:+.1f} standard errors from {P})")
    console.print(f"correlation of neighboring elements {correlation:+.6f} (standard error {1 / math.sqrt(DRAWS):.6f})")


if __name__ == "__main__":
    main()
