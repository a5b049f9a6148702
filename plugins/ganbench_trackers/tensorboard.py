"""TensorBoard event files in the run directory: `tensorboard --logdir runs`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from tensorboardX import SummaryWriter

from ganbench import EpochRow, Result, RunInfo, TrackedRun

from .logging_tracker import LoggingTracker, flatten, outcome

FOLDER = "tensorboard"
FINAL = "final"  # folder in it for what belongs to the whole run


class TensorBoard(LoggingTracker):
    """Writes events; the global step is the number of real images seen. Settings and final scores are under HParams."""

    def on_run_start(self, info: RunInfo) -> None:
        self.spec = info.spec
        # hides what an earlier process logged after the checkpoint from which the run is resumed
        purge = info.images + 1 if self.context.tracked_run else None
        self.writer = SummaryWriter(str(self.context.directory / FOLDER), purge_step=purge)
        self.writer.add_text("spec", f"```json\n{json.dumps(info.spec, indent=2)}\n```", info.images)
        self.writer.add_text("run directory", str(self.context.directory), info.images)
        self.tracked_run = TrackedRun(FOLDER)

    def log(self, values: dict[str, float], images: int) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, images)

    def log_image(self, name: str, file: Path, images: int) -> None:
        with Image.open(file) as image:
            self.writer.add_image(name, np.asarray(image.convert("RGB")), images, dataformats="HWC")

    def on_epoch_end(self, row: EpochRow) -> None:
        self.writer.flush()

    def on_run_end(self, result: Result) -> None:
        self.writer.add_text("status", result.message or result.status, result.images)
        if result.throughput.disturbed_by:
            self.writer.add_text("disturbed", result.throughput.disturbed_by, result.images)
        settings = {**flatten(self.spec), **outcome(result)}
        self.writer.add_hparams(settings, self.final_values(result), FINAL, result.images)
        self.writer.close()
