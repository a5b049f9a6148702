"""Profile a step of the default benchmark with torch's dropout and with ganbench's own, interleaved.

python -m benchmarks.step_profile --rounds 5 --out step_profile.json

Prints where a step's time goes, by torch operator. The profiler slows steps down; the last row is a step without it.
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ganbench import Result, run

from .results_file import write_results
from .rounds import alternating

DROPOUTS = ("torch", "fast")
MIN_SHARE = 0.01  # of a step; operators below are summed up
OTHER = "other operators"


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Number of profiles of each kind of dropout.")] = 5,
    source: Annotated[str, typer.Option(help="Source of FashionMNIST: auto, files, download, embedded.")] = "embedded",
    out: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None,
) -> None:
    results: dict[str, list[Result]] = {dropout: [] for dropout in DROPOUTS}
    for _, dropout in alternating(DROPOUTS, rounds):
        results[dropout].append(profile(dropout, source))
    operators = {dropout: operator_milliseconds(measured) for dropout, measured in results.items()}
    steps = {dropout: [step_milliseconds(each) for each in measured] for dropout, measured in results.items()}
    show(operators, steps)
    if out is not None:
        figures = {"milliseconds_per_step": operators, "step_milliseconds_without_profiler": steps}
        write_results(out, {"rounds": rounds, "source": source}, "cpu", figures)


def profile(dropout: str, source: str) -> Result:
    overrides = [
        f"engine.dropout={dropout}",
        f"dataset.source={source}",
        *("metrics=[]", "sample_images.real=0", "sample_images.generated=0"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "run"
        return run(
            "dcgan-fashion", *overrides, steps=1, device="cpu", out=directory, track=None, quiet=True, profile=True
        ).result


def operator_milliseconds(results: list[Result]) -> dict[str, list[float]]:
    """Return the time of each operator itself, in ms/step, in each of the results; the longest first."""
    rounds = []
    for result in results:
        assert result.profile is not None
        spent: dict[str, float] = defaultdict(float)
        for kernel in result.profile.kernels:
            spent[kernel.name] += 1000 * kernel.seconds_per_step
        rounds.append(spent)
    names = {name for spent in rounds for name in spent}
    by_name = {name: [spent[name] for spent in rounds] for name in names}
    return dict(sorted(by_name.items(), key=lambda item: -median(item[1])))


def step_milliseconds(result: Result) -> float:
    components = result.throughput.component_throughput
    assert components is not None
    return 1000 * result.spec["training"]["batch_size"] / components.compute_only


def show(operators: dict[str, dict[str, list[float]]], steps: dict[str, list[float]]) -> None:
    """Print the median of each operator that takes at least `MIN_SHARE` of a step with either dropout."""
    medians = {
        dropout: Counter({name: median(values) for name, values in of.items()}) for dropout, of in operators.items()
    }
    shown = [
        name
        for name in dict.fromkeys(name for of in medians.values() for name in of)
        if any(of[name] >= MIN_SHARE * of.total() for of in medians.values())
    ]
    table = Table("operator", *(heading for each in DROPOUTS for heading in (f"{each} dropout, ms/step", "share")))
    for name in [*shown, OTHER]:
        cells = []
        for of in medians.values():
            spent = of[name] if name != OTHER else of.total() - sum(of[each] for each in shown)
            cells += [f"{spent:.1f}", f"{spent / of.total():.1%}"]
        table.add_row(name, *cells)
    table.add_section()
    table.add_row("sum", *(cell for of in medians.values() for cell in (f"{of.total():.1f}", "")))
    table.add_row("step without profiler", *(cell for each in steps.values() for cell in (f"{median(each):.1f}", "")))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
