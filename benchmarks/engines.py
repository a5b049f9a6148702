"""Train the default benchmark with every engine, at several batch sizes and precisions; compare with the roofline.

python -m benchmarks.engines --device cuda --rounds 3 --out engines.json

Each round measures all settings one after another in this process, so that drift of the machine affects all settings
equally.
"""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ganbench import (
    GanbenchError,
    Result,
    run,
)

from .results_file import write_results


@dataclass(frozen=True)
class Setting:
    mode: str
    compiled: bool
    memory_format: str
    precision: str
    batch_size: int

    def overrides(self) -> list[str]:
        return [
            f"engine.mode={self.mode}",
            f"engine.compile={str(self.compiled).lower()}",
            f"engine.memory_format={self.memory_format}",
            f"training.precision={self.precision}",
            f"training.batch_size={self.batch_size}",
        ]


def settings_on(device: str) -> list[Setting]:
    """Return the settings to compare: on a CPU, only those that matter."""
    if not device.startswith("cuda"):
        return [
            Setting("eager", compiled, memory_format, "fp32", 64)
            for compiled, memory_format in [(False, "contiguous"), (False, "channels_last"), (True, "contiguous")]
        ]
    sizes = [("eager", 64), ("cuda_graph", 64), ("cuda_graph", 256), ("eager", 1024), ("cuda_graph", 1024)]
    engines = [Setting(mode, False, "contiguous", "tf32", size) for mode, size in sizes]
    precisions = [
        Setting("cuda_graph", False, "contiguous", precision, size)
        for precision, size in [("fp32", 64), ("bf16", 64), ("bf16", 1024)]
    ]
    channels_last = [Setting("cuda_graph", False, "channels_last", precision, 64) for precision in ("tf32", "bf16")]
    compiled = [Setting("cuda_graph", True, "contiguous", "tf32", 64)]
    return engines + precisions + channels_last + compiled


def main(
    device: str = "cpu",
    rounds: Annotated[int, typer.Option(min=1, help="Number of measurements of each setting.")] = 3,
    seconds: Annotated[float, typer.Option(help="Training time of each measurement, in seconds.")] = 4.0,
    source: Annotated[str, typer.Option(help="Source of FashionMNIST: auto, files, download, embedded.")] = "files",
    data_dir: Path | None = None,
    out: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None,
) -> None:
    settings = settings_on(device)
    results: dict[Setting, list[Result]] = {setting: [] for setting in settings}
    failures: dict[str, str] = {}
    for _, setting in itertools.product(range(rounds), settings):
        try:
            result = measure(setting, device, seconds, source, data_dir)
        except GanbenchError as error:  # for example, if the step cannot be captured; measure the other settings
            failures[str(setting)] = str(error)
            continue
        if result.status == "interrupted":
            break
        results[setting].append(result)
        rows = [row(each, measured, results[settings[0]]) for each, measured in results.items() if measured]
        if out is not None:
            figures = {"engines": rows, "failures": failures}
            write_results(out, {"rounds": rounds, "seconds": seconds, "source": source}, device, figures)
    show(rows)
    for name, why in failures.items():
        print(f"{name}: {why}")


def measure(setting: Setting, device: str, seconds: float, source: str, data_dir: Path | None) -> Result:
    unscored = ["metrics=[]", "sample_images.real=0", "sample_images.generated=0"]
    length = ["training.epochs=1000000", f"training.budget_seconds={seconds}", f"dataset.source={source}"]
    overrides = [*unscored, *length, *setting.overrides()]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        return run(
            "dcgan-fashion", *overrides, device=device, out=out, data_dir=data_dir, quiet=True, track=None
        ).result


def row(setting: Setting, measured: list[Result], first: list[Result]) -> dict[str, Any]:
    """Return a setting's measurements over the rounds, and its ratio to the first setting in each round."""
    rates = [images_per_second(result) for result in measured]
    rooflines = [result.throughput.roofline for result in measured if result.throughput.roofline]
    bounded = bool(rooflines) and not any(roofline.unreliable for roofline in rooflines)
    minimums = [roofline.min_step_seconds(setting.batch_size) for roofline in rooflines]
    compile_seconds = [result.throughput.engine.compile_seconds for result in measured if result.throughput.engine]
    return {
        **asdict(setting),
        "images_per_second": rates,
        "ratio_to_first": [rate / images_per_second(other) for rate, other in zip(rates, first, strict=False)],
        "step_milliseconds": 1000 * setting.batch_size / median(rates),
        "times_min_step": setting.batch_size / median(rates) / median(minimums) if bounded else None,
        "utilization": (
            median(roofline.utilization(rate) for roofline, rate in zip(rooflines, rates, strict=True))
            if bounded
            else None
        ),
        "rooflines": [roofline.model_dump() for roofline in rooflines],
        "joules_per_image": [result.throughput.joules_per_image for result in measured],
        "device_peak_bytes": measured[0].memory.device_peak_bytes,
        "compile_seconds": compile_seconds,
        "engine": measured[0].throughput.engine.model_dump() if measured[0].throughput.engine else None,
    }


def images_per_second(result: Result) -> float:
    """Return the rate over all complete windows except the first, in which the device warms up."""
    windows = [window for window in result.throughput.windows[1:] if window.complete] or result.throughput.windows
    return sum(window.images for window in windows) / sum(window.seconds for window in windows)


def show(rows: list[dict[str, Any]]) -> None:
    table = Table(
        "engine", "compiled", "memory", "precision", "batch", "images/s", "ms/step", "x minimum", "MFU", "ratio"
    )
    for row in rows:
        ratios = row["ratio_to_first"]
        low, middle, high = min(ratios), median(ratios), max(ratios)
        table.add_row(
            row["mode"],
            "yes" if row["compiled"] else "no",
            row["memory_format"],
            row["precision"],
            str(row["batch_size"]),
            f"{median(row['images_per_second']):,.0f}",
            f"{row['step_milliseconds']:.3f}",
            f"{row['times_min_step']:.2f}" if row["times_min_step"] else "unknown",
            f"{row['utilization']:.1%}" if row["utilization"] else "unknown",
            f"{middle:.3f} ({low:.3f} to {high:.3f})",
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    typer.run(main)
