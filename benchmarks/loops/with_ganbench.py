"""ganbench, timed like the other loops: including the time between windows."""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter

from ganbench import Callback, load_spec
from ganbench import run as run_benchmark
from ganbench.plugin.callbacks import Progress
from ganbench.spec.benchmark import BenchmarkSpec

from .setting import Setting, Timed


class Stopwatch(Callback):
    """Records the times of window ends."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_window_end(self, progress: Progress) -> None:
        self.ends.append(perf_counter())


def spec_of(setting: Setting, mode: str) -> BenchmarkSpec:
    """Return the homework's benchmark, limited only by time, without scores and sample images."""
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
    return load_spec("dcgan-fashion", *overrides)


def run(setting: Setting, mode: str = "auto") -> Timed:
    stopwatch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        trained = run_benchmark(
            spec_of(setting, mode),
            device=setting.device,
            out=Path(folder) / "run",
            data_dir=setting.data_dir,
            quiet=True,
            track=None,
            callback=stopwatch,
            window_seconds=setting.seconds / 5,  # several windows, because the first is excluded
        )
    images = sum(window.images for window in trained.result.throughput.windows[1:])
    return Timed(images, stopwatch.ends[-1] - stopwatch.ends[0])
