"""A result in scripts and notebooks: its scores, its history as lists or a DataFrame, and how it is displayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ganbench.errors import MissingError

if TYPE_CHECKING:
    from .schema import DataRecord, EpochRow, MetricResult, Result, Status


class ResultViews:
    """Methods of `Result` for people; none of them is part of result.json."""

    if TYPE_CHECKING:
        benchmark: str
        status: Status
        message: str | None
        spec: dict[str, Any]
        data: DataRecord
        history: list[EpochRow]
        metrics: list[MetricResult]

    @property
    def scores(self) -> dict[str, float | None]:
        """The value of each metric at the end of training, by id; None if not finite, or if the run ended before."""
        return {metric.id: metric.value for metric in self.metrics}

    @property
    def titles(self) -> dict[str, str]:
        """The title of each metric in tables, by id: its label, followed by the id if the label is ambiguous."""
        from .schema import metric_titles

        return metric_titles(self.metrics)

    def why_missing(self, metric: MetricResult) -> str:
        """Why a metric has no value: "not finite", or "not reached" if training continued after the last score."""
        without_training = not self.history
        scored = metric.curve and (without_training or metric.curve[-1].images == self.images)
        return "not finite" if scored else "not reached"

    @property
    def is_final(self) -> bool:
        """Whether the run is over, completed or diverged, so that a suite does not run it again."""
        return self.status in ("completed", "diverged")

    @property
    def was_trained(self) -> bool:
        """Whether this is the result of a training run, not of an evaluation of images or of a checkpoint."""
        return "training" in self.spec

    @property
    def ended_early(self) -> bool:
        """Whether the run is complete, but its budget or a target ended it before the end of its schedule."""
        return self.status == "completed" and self.message is not None and self.was_trained

    @property
    def images(self) -> int:
        """The number of real images that the discriminator has seen."""
        return sum(row.images for row in self.history)

    @property
    def epochs(self) -> float:
        """The number of epochs of training."""
        return self.images / self.images_per_epoch

    @property
    def images_per_step(self) -> int:
        """Real images shown to the discriminator in a complete step; 1 without training."""
        training = self.spec.get("training", {})
        return int(training.get("batch_size", 1) * training.get("discriminator_steps", 1))

    @property
    def images_per_epoch(self) -> int:
        """Real images shown to the discriminator in an epoch, without those that `drop_last` skips."""
        images = self.data.train_images
        skipped = images % self.images_per_step if self.spec.get("training", {}).get("drop_last") else 0
        return images - skipped

    def history_lists(self) -> dict[str, list[Any]]:
        """Return the history as lists by column, with one entry per epoch; None where an epoch lacks a monitor."""
        rows = [row.model_dump() for row in self.history]
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: [row.get(name) for row in rows] for name in names}

    def history_frame(self) -> Any:
        """Return the history as a pandas DataFrame with one row per epoch.

        Raises `MissingError` if pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise MissingError(
                "history_frame: pandas is not installed; install it with `pip install pandas`, or use history_lists()"
            ) from None
        return pandas.DataFrame(self.history_lists())

    def __repr__(self) -> str:
        return f"<Result: {self.summary()}>"

    def summary(self) -> str:
        """Return benchmark, status and final scores in one line."""
        scores = "".join(f", {name} {value:.4g}" for name, value in self.scores.items() if value is not None)
        return f"{self.benchmark}, {self.status}{scores}"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        from .html import result_html

        return result_html(cast("Result", self))
