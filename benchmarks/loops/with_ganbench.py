"""ganbench, timed like the other loops: including the time between its windows."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ganbench import Callback, load_spec
from ganbench import run as run_benchmark
from ganbench.plugin.callbacks import Progress
from ganbench.spec.benchmark import BenchmarkSpec

from .setting import Setting, Turns

WINDOWS = 4  # in a turn


class TakesTurns(Callback):
    """Counts the images of windows. The first window is part of the warm-up."""

    def __init__(self, setting: Setting) -> None:
        self.turns = Turns(setting)
        self.images = 0  # before the window

    def on_window_end(self, progress: Progress) -> None:
        if self.images:
            self.turns.add(progress.images - self.images)
        else:
            self.turns.begin()
        self.images = progress.images


def spec_of(setting: Setting, mode: str) -> BenchmarkSpec:
    """Return the homework's benchmark, without an end, scores and sample images."""
    overrides = [
        f"dataset.source={setting.source}",
        f"training.batch_size={setting.batch_size}",
        f"training.precision={setting.precision}",
        f"engine.mode={mode}",
        "training.epochs=1000000",
        "metrics=[]",
        "sample_images.real=0",
        "sample_images.generated=0",
    ]
    return load_spec("dcgan-fashion", *overrides)


def run(setting: Setting, mode: str = "auto") -> None:
    with tempfile.TemporaryDirectory() as folder:
        run_benchmark(
            spec_of(setting, mode),
            device=setting.device,
            out=Path(folder) / "run",
            data_dir=setting.data_dir,
            quiet=True,
            track=None,
            callback=TakesTurns(setting),
            window_seconds=setting.seconds / WINDOWS,
        )
