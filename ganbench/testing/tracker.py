"""The contract of trackers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from ganbench.plugin.callbacks import Callback, Progress, RunInfo, SampleImages
from ganbench.plugin.registrations import TrackerContext, TrackerPlugin
from ganbench.results.schema import (
    SCHEMA_VERSION,
    DataRecord,
    Environment,
    EpochRow,
    MetricPoint,
    MetricResult,
    Result,
    Status,
)
from ganbench.results.throughput import Memory, Percentiles, Throughput

from .contract import PluginContract

SPEC: dict[str, Any] = {
    "name": "my-benchmark",
    "model": {"name": "my-model", "width": 8},
    "loss": {"name": "my-loss"},
    "dataset": {"name": "my-dataset"},
    "optimizer": {"generator": {"name": "my-optimizer", "lr": 1e-4}, "discriminator": {"name": "my-optimizer"}},
    "training": {"batch_size": 64, "epochs": 1},
}
DATA = DataRecord(
    source="computed",
    fingerprint="0" * 64,
    content_sha256="0" * 64,
    content_basis="all images",
    train_images=640,
    test_images=100,
    notice=None,
    data_shape=(1, 28, 28),
    num_classes=10,
)
INFO = RunInfo(
    *(SPEC, "cpu", "a CPU", DATA, {"generator": 1000, "discriminator": 1000}),
    steps_per_epoch=10,
    total_steps=10,
    precision="fp32",
)
ROW = EpochRow(epoch=1, d_loss=None, g_loss=1.0, images=640, seconds=1.0, images_per_second=640.0, real_output=0.5)
POINT = MetricPoint(epoch=1.0, images=640, value=4.5)
LABEL = "FID (test)"


def result(status: Status, history: list[EpochRow], points: list[MetricPoint]) -> Result:
    """Return the result of a run that ended after these epochs and scores."""
    speed = 640.0 if history else None
    return Result(
        schema_version=SCHEMA_VERSION,
        run_id="my-run",
        created_at=datetime.now(UTC),
        status=status,
        message=None if status == "completed" else "interrupted",
        benchmark="my-benchmark",
        spec=SPEC,
        spec_sha256="0" * 64,
        plugins=[],
        environment=Environment(must_match={"device": "a CPU"}, may_differ={}),
        data=DATA,
        history=history,
        throughput=Throughput.without_training().model_copy(
            update={
                "images_per_second": Percentiles(median=speed, p10=speed, p90=speed) if speed else None,
                "seconds_per_kimg": 1000 / speed if speed else None,
            }
        ),
        memory=Memory(device_peak_bytes=None, host_peak_rss_bytes=None),
        metrics=[
            MetricResult(
                id="my-metric",
                name="my-metric",
                label=LABEL,
                value=points[-1].value if points else None,
                higher_is_better=False,
                best=points[0] if points else None,
                curve=points,
                real_data_score=None,
                real_data_samples=0,
                protocol={},
                software={},
            )
        ],
        artifacts={},
    )


class TrackerContract(PluginContract):
    plugin: ClassVar[TrackerPlugin]

    def context(self) -> TrackerContext:
        return TrackerContext(directory=self.new_folder())

    def complete_run(self, tracker: Callback) -> None:
        """Send the events of a run that ends as planned; a loss and a score are not finite."""
        tracker.on_run_start(INFO)
        tracker.on_status("warming up")
        tracker.on_warning("a warning")
        tracker.on_window_end(Progress(1, 10, 100, {"d_loss": 1.0, "g_loss": 1.0}, 1000.0, 5.0, images=640))
        tracker.on_epoch_end(ROW)
        for point in (POINT, POINT.model_copy(update={"value": None})):
            tracker.on_score(LABEL, point)
        tracker.on_best(LABEL, POINT)
        file = self.new_folder() / "epoch-0001.png"
        Image.new("L", (28, 28)).save(file)
        tracker.on_sample_images(SampleImages(file, "generated", 640))
        tracker.on_run_end(result("completed", [ROW], [POINT]))

    def test_it_accepts_every_event(self) -> None:
        """No method raises for the events of a run, from its start to its end; losses and scores may be None."""
        self.complete_run(self.build())

    def test_it_accepts_a_run_without_results(self) -> None:
        """No method raises if a run fails or is interrupted before its first epoch ends."""
        statuses: tuple[Status, ...] = ("failed", "interrupted")
        for status in statuses:
            tracker: Callback = self.build()
            tracker.on_run_start(INFO)
            tracker.on_run_end(result(status, [], []))

    def test_it_writes_only_into_the_run_directory(self) -> None:
        """No file appears in the current folder."""
        before = set(Path.cwd().iterdir())
        self.complete_run(self.build())
        new = sorted(path.name for path in set(Path.cwd().iterdir()) - before)
        assert not new, f"expected files in context.directory only, got {', '.join(new)} in the current folder"
