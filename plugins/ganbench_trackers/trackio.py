"""Trackio: a local SQLite database, or a Space on Hugging Face; `trackio show` opens the dashboard."""

from __future__ import annotations

from pathlib import Path

import trackio

from ganbench import Result, RunInfo, TrackedRun, TrackerContext

from . import TrackioOptions
from .logging_tracker import LoggingTracker, outcome


class Trackio(LoggingTracker):
    """Logs to a run whose name is the id of the ganbench run; the step is the number of real images seen."""

    def __init__(self, options: TrackioOptions, context: TrackerContext) -> None:
        self.options = options
        super().__init__(context)

    def on_run_start(self, info: RunInfo) -> None:
        self.run = trackio.init(
            project=self.options.project,
            name=self.context.tracked_run.id if self.context.tracked_run else self.context.run_id,
            group=info.spec["name"],
            space_id=self.options.space,
            config={"spec": info.spec, "device": info.device_name, "run_directory": str(self.context.directory)},
            resume="allow",
            embed=False,
        )
        self.tracked_run = TrackedRun(self.run.name, self.run.url)

    def log(self, values: dict[str, float], images: int) -> None:
        self.run.log(values, step=images)

    def log_image(self, name: str, file: Path, images: int) -> None:
        self.run.log({name: trackio.Image(str(file))}, step=images)

    def on_run_end(self, result: Result) -> None:
        self.run.log({**self.final_values(result), **outcome(result)}, step=result.images)
        self.run.finish()
