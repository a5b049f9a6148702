"""Does ganbench's own throughput agree with a clock outside its process?

python -m benchmarks.outside_clock --seconds 60 --out outside_clock.json

A child process trains and writes a line at the end of each window; this process reads the clock when the line comes
in. Between the first line and the last, images over outside time is compared with images over the windows' own seconds.
What ganbench leaves out between windows, such as reading losses, counts here.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from ganbench import (
    Callback,
    Registry,
    load_spec,
    run,
)
from ganbench.plugin.callbacks import Progress

from .results_file import write_results


class Lines(Callback):
    """A line on stdout for every window."""

    def on_window_end(self, progress: Progress) -> None:
        print("window", flush=True)


def main(
    device: str = "cpu",
    seconds: Annotated[float, typer.Option(help="Training time.")] = 60.0,
    source: Annotated[str, typer.Option(help="FashionMNIST from: auto, files, download, embedded.")] = "files",
    data_dir: Path | None = None,
    out: Annotated[Path | None, typer.Option(help="Where to write the figures as JSON.")] = None,
    inside: Annotated[bool, typer.Option(hidden=True)] = False,  # the child's side
) -> None:
    if inside:
        train(device, seconds, source, data_dir)
        return
    command = [sys.executable, "-m", "benchmarks.outside_clock", *sys.argv[1:], "--inside"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    moments, told = [], ""
    for line in child.stdout:
        moments.append(perf_counter())
        told = line
    if child.wait() != 0:
        raise SystemExit("the training failed")
    images, inside_seconds = (float(word) for word in told.split())
    outside_seconds = moments[-2] - moments[0]  # the last line is the child's own count
    ratio = outside_seconds / inside_seconds
    print(f"{images / inside_seconds:,.1f} images/s by ganbench, {images / outside_seconds:,.1f} from outside")
    print(f"the outside clock says {ratio - 1:+.3%} of time, over {len(moments) - 2} windows")
    if out is not None:
        figures = {"images": images, "inside_seconds": inside_seconds, "outside_seconds": outside_seconds}
        write_results(out, {"seconds": seconds, "source": source}, device, figures)


def train(device: str, seconds: float, source: str, data_dir: Path | None) -> None:
    """Train without scores and pictures, then print images and seconds of all windows but the first."""
    overrides = [
        f"dataset.source={source}",
        f"training.budget_seconds={seconds}",
        "training.epochs=1000000",
        "metrics=[]",
        "sample_images.real=0",
        "sample_images.generated=0",
    ]
    spec, _ = load_spec("dcgan-fashion", Registry.load(), overrides)
    with tempfile.TemporaryDirectory() as folder:
        result, _ = run(spec, device=device, out=Path(folder) / "run", data_dir=data_dir, callback=Lines())
    windows = result.throughput.windows[1:]
    print(sum(window.images for window in windows), sum(window.seconds for window in windows), flush=True)


if __name__ == "__main__":
    typer.run(main)
