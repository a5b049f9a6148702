"""Simulate leaderboards: how often equal rows differ significantly, the power, and whether they ask for enough seeds.

python -m benchmarks.leaderboard_errors

Scores are normal: a part that all rows share, by seed, and a part of each row's own. Differences are in standard
deviations of the paired differences. The tests are those of `ganbench leaderboard`; for comparison, its pairs are also
replaced by each row against the best one, and by neighbors in the order of the means.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations, pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ganbench.results.leaderboard import compare_pairs
from ganbench.results.statistics import ALPHA, POWER, pair, seeds_needed

from .results_file import write_results

RESULTS = Path(__file__).parent / "results" / "leaderboard_errors.json"
SEEDS = 5
DIFFERENCE = 2.0
ROWS = (2, 3, 5)
EFFECTS = (0.75, 1.0, 1.5, 2.0, 3.0)
Board = np.ndarray  # float64 (rows, seeds)
Pairs = list[tuple[int, int]]


def main(
    boards: Annotated[int, typer.Option(help="Simulated boards per setting.")] = 10_000,
    seed: int = 0,
    out: Annotated[Path, typer.Option(help="Output JSON file.")] = RESULTS,
) -> None:
    draw = np.random.default_rng(seed)
    errors: dict[str, Any] = {}
    for rows in ROWS:
        equal, better = np.zeros(rows), np.array([-DIFFERENCE, *[0.0] * (rows - 1)])
        unequal = np.geomspace(0.3, 3.0, rows)  # standard deviations of the rows' own parts
        errors[f"{rows} rows"] = {
            family: {
                "family-wise error rate": share(draw, boards, equal, pairs, any_significant),
                "family-wise error rate, unequal standard deviations": share(
                    draw, boards, equal, pairs, any_significant, unequal
                ),
                "power, first row better by 2": share(draw, boards, better, pairs, first_two),
            }
            for family, pairs in FAMILIES.items()
        }
        for family, shares in errors[f"{rows} rows"].items():
            print(f"{rows} rows, {family}: " + ", ".join(f"{name} {value:.2%}" for name, value in shares.items()))
    asked = {f"{effect:g}": seeds_for(draw, boards, effect) for effect in EFFECTS}
    for effect, row in asked.items():
        print(f"difference {effect}: {row}")
    write_results(out, {"boards": boards, "seed": seed, "seeds": SEEDS}, "cpu", {"errors": errors, "seeds": asked})


def simulate(draw: np.random.Generator, means: np.ndarray, seeds: int, deviations: np.ndarray | None = None) -> Board:
    """Return a board whose rows have these means; paired differences of equal rows have standard deviation 1."""
    own = np.full(len(means), math.sqrt(0.5)) if deviations is None else deviations
    noise = draw.standard_normal((len(means), seeds)) * own[:, None]
    return means[:, None] + draw.standard_normal(seeds) + noise


def all_pairs(board: Board) -> Pairs:
    return list(combinations(range(len(board)), 2))


def with_best(board: Board) -> Pairs:
    best = int(board.mean(1).argmin())
    return [(best, row) for row in range(len(board)) if row != best]


def neighbors(board: Board) -> Pairs:
    return [(int(one), int(other)) for one, other in pairwise(board.mean(1).argsort())]


FAMILIES: dict[str, Callable[[Board], Pairs]] = {
    "all pairs": all_pairs,
    "against the best": with_best,
    "neighbors": neighbors,
}


def share(
    draw: np.random.Generator,
    boards: int,
    means: np.ndarray,
    pairs: Callable[[Board], Pairs],
    found: Callable[[set[frozenset[int]]], bool],
    deviations: np.ndarray | None = None,
) -> float:
    """Return the share of boards in which the pairs that differ significantly are as `found` wants."""
    count = 0
    for _ in range(boards):
        board = simulate(draw, means, SEEDS, deviations)
        chosen = pairs(board)
        differences = {rows: pair(*(list(board[row]) for row in rows)) for rows in chosen}
        compared = compare_pairs({rows: found for rows, found in differences.items() if found is not None})
        count += found({frozenset(comparison.rows) for comparison in compared if comparison.significant})
    return count / boards


def any_significant(pairs: set[frozenset[int]]) -> bool:
    return bool(pairs)


def first_two(pairs: set[frozenset[int]]) -> bool:
    return frozenset((0, 1)) in pairs


def seeds_for(draw: np.random.Generator, boards: int, effect: float) -> dict[str, Any]:
    """Return the seeds asked for a true difference, those that simulation needs, and those that boards would ask."""
    asked = seeds_needed(effect, ALPHA)
    assert asked is not None
    needed = next(n for n in range(max(2, asked - 3), asked + 10) if found_share(draw, boards, effect, n) >= POWER)
    by_boards = []
    for _ in range(boards // 10):
        board = simulate(draw, np.array([0.0, effect]), SEEDS)
        observed = pair(list(board[0]), list(board[1]))
        assert observed is not None
        by_boards.append(observed.seeds_needed(ALPHA) or math.inf)
    quantiles = np.quantile(by_boards, [0.1, 0.5, 0.9], method="nearest").tolist()
    return {
        "asked": asked,
        "needed in simulation": needed,
        "asked by boards of 5 seeds: 10%, median, 90%": [None if math.isinf(q) else q for q in quantiles],
    }


def found_share(draw: np.random.Generator, boards: int, effect: float, seeds: int) -> float:
    """Return how often the test finds a difference with this number of seeds."""
    found = 0
    for _ in range(boards):
        board = simulate(draw, np.array([0.0, effect]), seeds)
        difference = pair(list(board[0]), list(board[1]))
        found += difference is not None and difference.p_value <= ALPHA
    return found / boards


if __name__ == "__main__":
    typer.run(main)
