"""What all trackers log: every number by the real images seen, sample images, and the final scores."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from pathlib import Path

from ganbench import (
    Callback,
    GanbenchError,
    MetricPoint,
    Progress,
    Result,
    SampleImages,
    TrackerContext,
    load_result,
)


class LoggingTracker(Callback):
    """Logs losses, monitors, throughput, scores and sample images; subclasses say where to."""

    def __init__(self, context: TrackerContext) -> None:
        self.context = context
        self.already_final: list[str] = []  # what an earlier process of the run logged at its end
        if context.tracked_run:
            with suppress(GanbenchError):  # it was killed, and logged nothing
                self.already_final = list(final_values(load_result(context.directory)))

    def final_values(self, result: Result) -> dict[str, float]:
        """Return the values at the end of a run; NaN for those of an earlier process that are not known now."""
        return dict.fromkeys(self.already_final, math.nan) | final_values(result)

    def log(self, values: dict[str, float], images: int) -> None:
        """Log values at a number of real images seen."""
        raise NotImplementedError

    def log_image(self, name: str, file: Path, images: int) -> None:
        """Log a PNG file."""
        raise NotImplementedError

    def on_window_end(self, progress: Progress) -> None:
        self.log({**progress.losses, "images_per_second": progress.images_per_second}, progress.images)

    def on_score(self, label: str, point: MetricPoint) -> None:
        if point.value is not None:
            self.log({label: point.value}, point.images)

    def on_sample_images(self, samples: SampleImages) -> None:
        self.log_image(f"samples/{samples.kind}", samples.path, samples.images)


def final_values(result: Result) -> dict[str, float]:
    """Return the length of a run, its final and best scores and its mean throughput; those that it has."""
    values: dict[str, float | None] = {"final/images": result.images, "final/epochs": result.epochs}
    for metric in result.metrics:
        title = result.titles[metric.id]
        values[f"final/{title}"] = metric.value
        values[f"best/{title}"] = metric.best.value if metric.best else None
    values["final/images_per_second"] = result.throughput.mean_images_per_second
    return {name: value for name, value in values.items() if value is not None}


def outcome(result: Result) -> dict[str, str | bool]:
    """Return how a run ended, and whether its speed is unreliable."""
    return {"status": result.status, "disturbed": result.throughput.disturbed}


def flatten(spec: object, path: str = "") -> dict[str, str | int | float | bool]:
    """Return the values in nested tables and lists by dotted path, such as `optimizer.generator.lr`."""
    if isinstance(spec, dict):
        items = list(spec.items())
    elif isinstance(spec, list):
        items = list(enumerate(spec))
    else:
        return {path: spec if isinstance(spec, str | int | float | bool) else str(spec)}
    flat: dict[str, str | int | float | bool] = {}
    for key, value in items:
        flat |= flatten(value, f"{path}.{key}" if path else str(key))
    return flat


def without_password(address: str) -> str:
    """Return the address of a server or database without user and password, because it is printed, stored and sent."""
    return re.sub(r"^([^/]+//)[^/]*@", r"\1", address)


def small_files(directory: Path, result: Result) -> list[Path]:
    """Return the files of a run that are worth keeping next to its numbers: result, spec, history, plot of losses."""
    names = [result.artifacts.get(artifact) for artifact in ("spec", "history", "losses")]
    files = [directory / name for name in ("result.json", *names) if name]
    return [file for file in files if file.is_file()]
