"""Weights & Biases."""

from __future__ import annotations

import os
from pathlib import Path

import wandb

from ganbench import Result, RunInfo, TrackedRun, TrackerContext

from . import WandbOptions
from .logging_tracker import LoggingTracker, outcome, small_files

STEP = "images"  # the axis of all charts


class WeightsAndBiases(LoggingTracker):
    """Logs to a run whose id is that of the ganbench run, so that a resumed run continues it, offline too."""

    def __init__(self, options: WandbOptions, context: TrackerContext) -> None:
        self.options = options
        super().__init__(context)

    def on_run_start(self, info: RunInfo) -> None:
        project = self.options.project or os.environ.get("WANDB_PROJECT") or "ganbench"
        self.run = wandb.init(
            project=project,
            entity=self.options.entity,
            mode=self.options.mode,
            id=self.context.tracked_run.id if self.context.tracked_run else self.context.run_id,
            resume="allow",
            name=self.context.run_id,
            group=info.spec["name"],
            config={"spec": info.spec, "device": info.device_name, "run_directory": str(self.context.directory)},
            dir=self.context.directory,
            settings=wandb.Settings(console="off", x_stats_pid=os.getppid()),
        )
        self.run.define_metric("*", step_metric=STEP)
        self.tracked_run = TrackedRun(self.run.id, self.run.url)

    def log(self, values: dict[str, float], images: int) -> None:
        self.run.log({**values, STEP: images})

    def log_image(self, name: str, file: Path, images: int) -> None:
        self.run.log({name: wandb.Image(str(file)), STEP: images})

    def on_run_end(self, result: Result) -> None:
        self.run.summary.update({**self.final_values(result), **outcome(result)})
        for file in small_files(self.context.directory, result):
            self.run.save(file, base_path=self.context.directory, policy="now")
        self.run.finish(exit_code=0 if result.status == "completed" else 1)
