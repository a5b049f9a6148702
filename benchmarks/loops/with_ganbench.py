"""ganbench itself, by its own count: all images and seconds of its training windows."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ganbench import Registry, load_spec
from ganbench import run as run_benchmark

from .setting import Setting, Timed


def run(setting: Setting) -> Timed:
    overrides = [
        f"dataset.source={setting.source}",
        f"training.batch_size={setting.batch_size}",
        f"training.budget_seconds={setting.seconds}",
        "training.precision=fp32",
        "training.epochs=1000000",
        "metrics=[]",
        "pictures.real=0",
        "pictures.generated=0",
    ]
    spec, _ = load_spec("dcgan-fashion", Registry.load(), overrides)
    with tempfile.TemporaryDirectory() as folder:
        result, _ = run_benchmark(spec, device=setting.device, out=Path(folder) / "run", data_dir=setting.data_dir)
    windows = result.throughput.windows
    return Timed(sum(window.images for window in windows), sum(window.seconds for window in windows))
