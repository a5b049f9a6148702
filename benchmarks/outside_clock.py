"""Compare ganbench's own throughput with a clock outside its process.

python -m benchmarks.outside_clock --seconds 60 --out outside_clock.json

A child process trains and prints a line at the end of each window; this process reads the clock when it receives one.
Between the first and the last line, the throughput by this clock is compared with that by the windows' own seconds.
This clock includes the work between windows, such as reading losses, which ganbench excludes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from ganbench import Callback, run
from ganbench.plugin.callbacks import Progress

from .results_file import write_results


class Lines(Callback):
    """Prints a line for every window."""

    def on_window_end(self, progress: Progress) -> None:
        print("window", flush=True)


def main(
    device: str = "cpu",
    seconds: Annotated[float, typer.Option(help="Training time, in seconds.")] = 60.0,
    source: Annotated[str, typer.Option(help="Source of FashionMNIST: auto, files, download, embedded.")] = "files",
    data_dir: Path | None = None,
    out: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None,
    inside: Annotated[bool, typer.Option(hidden=True)] = False,  # run as the child process
) -> None:
    if inside:
        train(device, seconds, source, data_dir)
        return
    command = [sys.executable, "-m", "benchmarks.outside_clock", *sys.argv[1:], "--inside"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    times, last_line = [], ""
    for line in child.stdout:
        times.append(perf_counter())
        last_line = line
    if child.wait() != 0:
        raise SystemExit("the training run failed")
    images, inside_seconds = (float(word) for word in last_line.split())
    outside_seconds = times[-2] - times[0]  # the last line reports the child's own measurement
    ratio = outside_seconds / inside_seconds
    print(f"{images / inside_seconds:,.1f} images/s by ganbench, {images / outside_seconds:,.1f} by the outside clock")
    print(f"the time by the outside clock differs by {ratio - 1:+.3%}, over {len(times) - 2} windows")
    if out is not None:
        figures = {"images": images, "inside_seconds": inside_seconds, "outside_seconds": outside_seconds}
        write_results(out, {"seconds": seconds, "source": source}, device, figures)


def train(device: str, seconds: float, source: str, data_dir: Path | None) -> None:
    """Train without scores and sample images, then print images and seconds of all windows except the first."""
    overrides = [
        f"dataset.source={source}",
        f"training.budget_seconds={seconds}",
        "training.epochs=1000000",
        "metrics=[]",
        "sample_images.real=0",
        "sample_images.generated=0",
    ]
    with tempfile.TemporaryDirectory() as folder:
        trained = run(
            "dcgan-fashion",
            *overrides,
            device=device,
            out=Path(folder) / "run",
            data_dir=data_dir,
            track=None,
            quiet=True,
            callback=Lines(),
        )
    windows = trained.result.throughput.windows[1:]
    print(sum(window.images for window in windows), sum(window.seconds for window in windows), flush=True)


if __name__ == "__main__":
    typer.run(main)
