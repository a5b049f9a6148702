"""MLflow."""

from __future__ import annotations

import re
import time
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from PIL import Image

from ganbench import Result, RunInfo, TrackedRun, TrackerContext

from . import MlflowOptions
from .logging_tracker import LoggingTracker, flatten, outcome, small_files, without_password

MAX_PARAMS = 100  # in one request
MAX_PARAM_LENGTH = 500  # of older servers; newer ones allow more
STATUS = {"completed": "FINISHED", "interrupted": "KILLED", "diverged": "FAILED", "failed": "FAILED"}


class MLflow(LoggingTracker):
    """Logs to a run of the experiment; the step is the number of real images seen."""

    def __init__(self, options: MlflowOptions, context: TrackerContext) -> None:
        self.options = options
        super().__init__(context)
        self.client = MlflowClient(options.tracking_uri)

    def on_run_start(self, info: RunInfo) -> None:
        experiment = self.experiment(self.options.experiment or info.spec["name"])
        self.id = self.continued_run() or self.new_run(experiment, info)
        uri = without_password(self.client.tracking_uri)
        page = f"{uri.rstrip('/')}/#/experiments/{experiment}/runs/{self.id}"
        self.tracked_run = TrackedRun(self.id, page if uri.startswith("http") else uri)

    def experiment(self, name: str) -> str:
        """Return the id of an experiment, which is created if it does not exist."""
        try:
            return self.client.create_experiment(name)
        except MlflowException:
            found = self.client.get_experiment_by_name(name)
            if found is None:
                raise
            return found.experiment_id

    def continued_run(self) -> str | None:
        if self.context.tracked_run is None:
            return None
        self.client.update_run(self.context.tracked_run.id, status="RUNNING")
        return self.context.tracked_run.id

    def new_run(self, experiment: str, info: RunInfo) -> str:
        tags = {"ganbench.run_id": self.context.run_id, "ganbench.run_directory": str(self.context.directory)}
        run = self.client.create_run(experiment, run_name=self.context.run_id, tags=tags).info.run_id
        params = [Param(key, str(value)[:MAX_PARAM_LENGTH]) for key, value in flatten(info.spec).items()]
        for start in range(0, len(params), MAX_PARAMS):
            self.client.log_batch(run, params=params[start : start + MAX_PARAMS])
        return run

    def log(self, values: dict[str, float], images: int) -> None:
        now = int(time.time() * 1000)
        metrics = [Metric(allowed_name(name), value, now, images) for name, value in values.items()]
        self.client.log_batch(self.id, metrics=metrics)

    def log_image(self, name: str, file: Path, images: int) -> None:
        with Image.open(file) as image:
            self.client.log_image(self.id, image, key=name, step=images, synchronous=True)

    def on_run_end(self, result: Result) -> None:
        self.log(self.final_values(result), result.images)
        for name, value in outcome(result).items():
            self.client.set_tag(self.id, f"ganbench.{name}", str(value).lower())
        for file in small_files(self.context.directory, result):
            self.client.log_artifact(self.id, str(file))
        self.client.set_terminated(self.id, STATUS[result.status])


def allowed_name(name: str) -> str:
    """Return the name of a metric without the characters that MLflow refuses, such as parentheses."""
    return re.sub(r"[^\w\-./ ]", "", name)
