"""Time to target from scores and windows, and several results side by side. The results are made up."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from command_line import run_command
from rich.console import Console

from ganbench.reporting.comparison_tables import comparison_tables
from ganbench.reporting.target_tables import targets_table
from ganbench.results.comparison import compare
from ganbench.results.schema import DataRecord, Environment, MetricPoint, MetricResult, Result
from ganbench.results.target import TargetResult
from ganbench.results.throughput import GPUReading, Memory, Throughput, Window
from ganbench.results.time_to_target import time_to_target


def window(images: int, seconds: float, joules: float | None = None) -> Window:
    gpu = None if joules is None else GPUReading(joules=joules, sm_clock_mhz=1000, throttled_by=[])
    return Window(epoch=1, images=images, seconds=seconds, dispatch_seconds=0.0, device_seconds=None, gpu=gpu)


def metric(*points: tuple[int, float | None], higher_is_better: bool = False, **protocol: Any) -> MetricResult:
    return MetricResult(
        id="fid", name="fid", label="FID (tiny)", value=points[-1][1], higher_is_better=higher_is_better, best=None,
        curve=[MetricPoint(epoch=images / 1000, images=images, value=value) for images, value in points],
        real_data_score=None, real_data_samples=0, protocol=protocol, software={},
    )  # fmt: skip


CURVE = [(0, 300.0), (6000, 90.0), (12000, 61.0), (18000, 44.0), (24000, 47.0)]
WINDOWS = [window(3000, 2.0, 500.0) for _ in range(8)]


def reached(value: float, points: Any = CURVE, windows: Any = WINDOWS, **options: Any) -> TargetResult:
    return time_to_target(metric(*points, **options), "FID (tiny)", value, windows)


def test_the_windows_before_a_score_give_its_time_and_energy() -> None:
    target = reached(50.0)
    assert target.missed.model_dump() == {"images": 12000, "seconds": 8.0, "joules": 2000.0, "value": 61.0}
    assert target.reached.model_dump() == {"images": 18000, "seconds": 12.0, "joules": 3000.0, "value": 44.0}


@pytest.mark.parametrize(
    ("value", "options", "missed", "images"),
    [
        (44.0, {}, 12000, 18000),  # a score equal to the target reaches it
        (43.9, {}, 24000, None),
        (300.0, {}, None, 0),
        (299.9, {}, 0, 6000),
        (46.0, {}, 12000, 18000),  # the first time counts, even if a later score misses it
        (310.0, {"higher_is_better": True}, 24000, None),
        (0.5, {"higher_is_better": True, "points": [(0, 0.0), (6000, None), (12000, 0.7)]}, 6000, 12000),
    ],
)
def test_the_first_score_that_is_good_enough(
    value: float, options: dict[str, Any], missed: int | None, images: int | None
) -> None:
    target = reached(value, **options)
    assert (target.missed and target.missed.images) == missed
    assert (target.reached and target.reached.images) == images


def test_energy_that_was_not_measured_everywhere_is_unknown() -> None:
    partly = [*WINDOWS[:2], window(3000, 2.0), *WINDOWS[3:]]
    assert reached(50.0, windows=partly).reached.joules is None
    assert reached(300.0, windows=[]).reached.joules is None


def shown(table: Any, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    return " ".join(console.file.getvalue().replace("│", " ").split())


def test_the_table_of_a_run_names_both_scores() -> None:
    text = shown(targets_table([reached(50.0), reached(1.0), reached(300.0)]))
    assert (
        "FID (tiny) at most 50 between 12,000 images (61.0000) and 18,000 images (44.0000) between 8.0 s and 12.0 s "
        "between 2,000 J and 3,000 J" in text
    )
    assert "FID (tiny) at most 1 not reached by 24,000 images (47.0000) not reached in 16.0 s" in text
    assert "FID (tiny) at most 300 by 0 images (300.0000) by 0.0 s by 0 J" in text


def result(points: Any, targets: list[float], seconds: float = 2.0, device: str = "gpu", **changes: Any) -> Result:
    scored = metric(*points, **changes)
    windows = [window(3000, seconds) for _ in range(8)]
    throughput = Throughput(
        images_per_second=None, seconds_per_kimg=1.0, windows=windows, warmup_seconds=0.0, evaluation_seconds=0.0,
        phases={}, component_throughput=None, roofline=None, joules_per_image=None, engine=None, conditions={},
    )  # fmt: skip
    return Result.model_validate(
        {
            "run_id": "0", "created_at": "2026-01-01T00:00:00Z", "status": "completed", "benchmark": "b", "spec": {},
            "spec_sha256": "0", "plugins": [], "history": [], "artifacts": {}, "throughput": throughput,
            "environment": Environment(must_match={"device": device}, may_differ={}),
            "data": DataRecord(source="files", fingerprint="0", content_sha256="0", content_basis="all images",
                               train_images=1000, test_images=1000, notice=None),
            "memory": Memory(device_peak_bytes=None, host_peak_rss_bytes=None),
            "metrics": [scored],
            "targets": [time_to_target(scored, "FID (tiny)", value, windows) for value in targets],
        }
    )  # fmt: skip


LATER = [(0, 300.0), (18000, 61.0), (24000, 44.0)]


def test_the_result_that_reached_a_target_before_the_others_is_best() -> None:
    (target,) = compare([result(CURVE, [50.0]), result(LATER, [50.0])]).targets
    assert target.title == "FID (tiny) at most 50"
    assert target.best("images") == 0
    assert target.best("seconds") == 0
    assert target.best("joules") is None


def test_a_result_with_other_targets_is_judged_by_its_scores() -> None:
    targets = compare([result(CURVE, [50.0]), result(LATER, [100.0])]).targets
    assert [[time.reached.images for time in target.times] for target in targets] == [[18000, 24000], [6000, 18000]]


def test_an_evaluation_took_no_known_time_to_a_target() -> None:
    evaluation = result([(24000, 44.0)], [])
    evaluation = evaluation.model_copy(update={"throughput": evaluation.throughput.model_copy(update={"windows": []})})
    (target,) = compare([result(CURVE, [50.0]), evaluation]).targets
    assert target.times[1] is None
    assert target.best("seconds") is None
    elsewhere = Environment(must_match={"device": "another"}, may_differ={})
    evaluation = evaluation.model_copy(update={"environment": elsewhere})
    (target,) = compare([result(CURVE, [50.0]), result(LATER, [50.0]), evaluation]).targets
    assert target.obstacles("seconds") == []
    assert target.best("seconds") == 0


def test_overlapping_spans_are_not_ranked() -> None:
    """Both reached it between 12,000 and 18,000 images; the coarser schedule may have seen it late."""
    coarse = [(0, 300.0), (18000, 44.0)]
    (target,) = compare([result(CURVE, [50.0]), result(coarse, [50.0])]).targets
    assert target.best("images") is None


@pytest.mark.parametrize(("last", "best"), [(24000, 0), (12000, None)])
def test_a_target_that_was_not_reached_is_worse_only_if_training_was_long_enough(last: int, best: int | None) -> None:
    never = [(0, 300.0), (last, 60.0)]
    (target,) = compare([result(CURVE, [50.0]), result(never, [50.0])]).targets
    assert target.times[1].reached is None
    assert target.best("images") == best


def test_other_protocols_and_other_hardware_are_not_ranked() -> None:
    one = result(CURVE, [50.0])
    (target,) = compare([one, result(LATER, [50.0], num_samples=3)]).targets
    assert target.best("images") is None
    assert target.obstacles("images") == ["num_samples differs"]
    (target,) = compare([one, result(LATER, [50.0], device="cpu")]).targets
    assert target.best("images") == 0
    assert target.best("seconds") is None
    assert target.obstacles("seconds") == ["device differs"]
    busy = one.model_copy(update={"throughput": one.throughput.model_copy(update={"disturbed": True})})
    (target,) = compare([busy, result(LATER, [50.0])]).targets
    assert target.obstacles("seconds") == target.obstacles("joules") == ["a result was disturbed"]
    assert target.best("images") == 0
    split = one.model_copy(update={"throughput": one.throughput.model_copy(update={"conditions": {"processes": 4}})})
    (target,) = compare([split, result(LATER, [50.0])]).targets
    assert target.obstacles("seconds") == target.obstacles("joules") == ["processes differs"]


def test_compare_shows_time_to_target(tmp_path: Path) -> None:
    for name, each in {"one": result(CURVE, [50.0]), "two": result(LATER, [], seconds=3.0)}.items():
        (tmp_path / f"{name}.json").write_text(each.to_json())
    tables = comparison_tables(compare([result(CURVE, [50.0]), result(LATER, [], seconds=3.0)]), ["one", "two"])
    text = " ".join(map(shown, tables))
    assert "images between 12,000 images (61.0000) and 18,000 images (44.0000)" in text
    assert "between 18,000 images (61.0000) and 24,000 images (44.0000)" in text
    assert "seconds of training between 8.0 s and 12.0 s between 18.0 s and 24.0 s" in text
    assert "energy" not in text
    outcome = run_command("compare", "one.json", "two.json", "--json")
    (target,) = json.loads(outcome.stdout)["targets"]
    assert target["best"] == {"images": 0, "seconds": 0, "joules": None}
    assert target["results"][1]["reached"] == {"images": 24000, "seconds": 24.0, "joules": None, "value": 44.0}
