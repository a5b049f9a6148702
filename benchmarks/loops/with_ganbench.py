"""ganbench itself, timed as the other loops are: by a stopwatch that also runs between windows."""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter

from ganbench import Callback, Registry, load_spec
from ganbench import run as run_benchmark
from ganbench.plugin.callbacks import Progress
from ganbench.spec.benchmark import BenchmarkSpec

from .setting import Setting, Timed


class Stopwatch(Callback):
    """Runs from the end of the first window to the end of the last."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def on_window_end(self, progress: Progress) -> None:
        self.moments.append(perf_counter())


def spec_of(setting: Setting, mode: str) -> BenchmarkSpec:
    """The homework's benchmark without end, scores and pictures."""
    overrides = [
        f"dataset.source={setting.source}",
        f"training.batch_size={setting.batch_size}",
        f"training.precision={setting.precision}",
        f"training.budget_seconds={setting.seconds}",
        f"engine.mode={mode}",
        "training.epochs=1000000",
        "metrics=[]",
        "sample_images.real=0",
        "sample_images.generated=0",
    ]
    return load_spec("dcgan-fashion", Registry.load(), overrides)[0]


def run(setting: Setting, mode: str = "auto") -> Timed:
    stopwatch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        result, _ = run_benchmark(
            spec_of(setting, mode),
            device=setting.device,
            out=Path(folder) / "run",
            data_dir=setting.data_dir,
            callback=stopwatch,
            window_seconds=setting.seconds / 5,  # the first one is not counted, and there have to be others
        )
    images = sum(window.images for window in result.throughput.windows[1:])
    return Timed(images, stopwatch.moments[-1] - stopwatch.moments[0])
