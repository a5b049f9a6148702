"""Time to target in the gate. The training runs are fake, except in the last test."""

from __future__ import annotations

import json
import math
import tempfile
from queue import SimpleQueue
from typing import Any

import pytest
from command_line import run_command
from stand_in import FAST

from ganbench.errors import ExitCode, NotComparableError
from ganbench.gate.check_json import FindingRecord
from ganbench.gate.decision.verdict import Decision, Finding, Verdict, bounds, decide_all, shared_levels
from ganbench.gate.quantities.targets import TargetTimes
from ganbench.gate.side import SessionConfig, Side
from ganbench.gate.training_runs import TrainingRun, TrainingRuns
from ganbench.gate.worker import main as worker
from ganbench.results.schema import Environment
from ganbench.results.target import Evaluation, TargetResult

ALPHA = 0.005
GRID = range(0, 200_000, 2_000)  # images at which scores are computed


def evaluation(images: int, speed: float = 1000.0) -> Evaluation:
    return Evaluation(images=images, seconds=images / speed, joules=None, value=1.0)


def seed_run(images: float, speed: float = 1000.0, device: str = "cpu", **more: Any) -> TrainingRun:
    """A run that truly reaches its target after so many images, and shows it by the next score."""
    missed = max((each for each in GRID if each < images), default=None)
    reached = next((each for each in GRID if each >= images), None)
    target = TargetResult(
        metric="fid",
        label="FID (tiny)",
        value=30,
        higher_is_better=False,
        stop=False,
        missed=None if missed is None else evaluation(missed, speed),
        reached=None if reached is None else evaluation(reached, speed),
    )
    environment = Environment(must_match={"device": device}, may_differ={})
    whole: dict[str, Any] = {"status": "completed", "targets": [target], "environment": environment, **more}
    return TrainingRun.model_construct(**whole)


BASE = [98_500, 99_000, 99_900, 100_500, 101_000, 101_500, 102_500, 103_000, 104_000, 105_000]
LIKE_BASE = [99_500, 100_000, 101_800, 102_000, 104_500]
NEVER = 10**9


def findings(base: list[TrainingRun], head: list[TrainingRun]) -> dict[str, Finding]:
    times = TargetTimes(TrainingRuns(base, head), {"images": 5.0, "seconds": 5.0})
    estimates = times.estimates()
    thresholds = {title: times.threshold(title) for title in estimates}
    levels = shared_levels(estimates, thresholds, {}, ALPHA)
    return dict(times.findings(decide_all(estimates, thresholds, levels), levels))


def on_images(head: list[float], base: list[float] = BASE) -> Finding:
    return findings(list(map(seed_run, base)), list(map(seed_run, head)))["FID (tiny) at most 30, images"]


@pytest.mark.parametrize(
    ("head", "verdict", "message"),
    [
        (LIKE_BASE, Verdict.PASS, "head needs "),
        ([0.8 * images for images in LIKE_BASE], Verdict.PASS, "% less"),
        ([1.3 * images for images in LIKE_BASE], Verdict.REGRESSED, "head needs 30.0% more"),
        ([NEVER] * 5, Verdict.REGRESSED, "head does not reach it, unlike base"),
        ([*LIKE_BASE[:4], NEVER], Verdict.WARNING, "a larger proportion of head's seeds than of base's did not reach"),
        ([1.06 * images for images in LIKE_BASE], Verdict.INCONCLUSIVE, "less than the interval between scores"),
        ([1.03 * images for images in LIKE_BASE], Verdict.INCONCLUSIVE, "too few seeds or too much variability"),
    ],
)
def test_the_verdict_on_images(head: list[float], verdict: Verdict, message: str) -> None:
    finding = on_images(head)
    assert message in finding.message
    assert finding.verdict == verdict


def test_seeds_that_never_reach_it_are_counted_not_dropped() -> None:
    finding = on_images([*LIKE_BASE[:2], NEVER, NEVER, NEVER])
    assert finding.sides == ("102,000 images (10 of 10 seeds)", "not reached (2 of 5 seeds)")
    assert finding.verdict != Verdict.PASS
    assert isinstance(finding.decision, Decision)
    assert finding.decision.upper == math.inf
    assert bounds(finding)[1].endswith("% to +inf")


def test_a_base_that_misses_it_now_and_then_does_not_excuse_what_takes_much_longer() -> None:
    finding = on_images([5 * images for images in LIKE_BASE], [*BASE[:8], NEVER, NEVER])
    assert finding.verdict == Verdict.INCONCLUSIVE
    assert "margin +5.0%" in finding.message
    sooner = on_images([images / 2 for images in LIKE_BASE], [*BASE[:8], NEVER, NEVER])
    assert sooner.verdict == Verdict.PASS


def test_a_base_that_never_reaches_it_decides_nothing() -> None:
    finding = on_images([NEVER] * 5, [NEVER] * 10)
    assert finding.verdict == Verdict.INCONCLUSIVE
    assert finding.sides == ("not reached (0 of 10 seeds)", "not reached (0 of 5 seeds)")


def test_a_difference_of_one_score_is_no_regression() -> None:
    """All of base were seen at 4,000 images, and all of head at 6,000: the truth may be 3,999 and 4,001."""
    finding = on_images([4_001] * 5, [3_999] * 10)
    assert finding.verdict == Verdict.INCONCLUSIVE
    assert "less than the interval between scores: score more often" in finding.message
    assert on_images([6_001] * 5, [3_999] * 10).verdict == Verdict.REGRESSED


def test_the_resolution_is_tested_at_the_level_of_the_quantity() -> None:
    base, head = list(map(seed_run, BASE)), [seed_run(130_000) for _ in range(5)]
    missed = evaluation(104_000)  # the seed may have reached the target right after it, at a p-value of 0.0017
    head[0].targets[0] = head[0].targets[0].model_copy(update={"missed": missed})
    times = TargetTimes(TrainingRuns(base, head), {"images": 5.0})
    estimates = times.estimates()
    (title,) = estimates
    for level, verdict in ((ALPHA, Verdict.REGRESSED), (ALPHA / 10, Verdict.INCONCLUSIVE)):
        decisions = decide_all(estimates, {title: times.threshold(title)}, {title: level})
        assert decisions[title].verdict == Verdict.REGRESSED
        ((_, finding),) = times.findings(decisions, {title: level})
        assert finding.verdict == verdict


def test_a_target_that_only_head_reaches() -> None:
    finding = on_images(LIKE_BASE, [NEVER] * 10)
    assert finding.verdict == Verdict.PASS
    assert "head reaches it, unlike base (between -inf and -inf)" in finding.message
    assert finding.sides[0] == "not reached (0 of 10 seeds)"
    assert bounds(finding)[0] == "-inf"
    assert FindingRecord.of(finding).worse_by is None  # JSON has no infinity


def test_seconds_regress_alone_if_each_image_takes_longer() -> None:
    base = list(map(seed_run, BASE))
    slow = [seed_run(images, speed=500.0) for images in LIKE_BASE]
    by_unit = findings(base, slow)
    assert by_unit["FID (tiny) at most 30, images"].verdict == Verdict.PASS
    assert by_unit["FID (tiny) at most 30, seconds"].verdict == Verdict.REGRESSED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"device": "another"}, "the runs differ in device"), ({"disturbed": True}, "other processes slowed down a run")],
)
def test_seconds_measured_under_other_conditions_decide_nothing(changes: dict[str, Any], reason: str) -> None:
    slow = [seed_run(images, speed=500.0, **changes) for images in LIKE_BASE]
    finding = findings(list(map(seed_run, BASE)), slow)["FID (tiny) at most 30, seconds"]
    assert finding.verdict == Verdict.INCONCLUSIVE
    assert reason in finding.message


def test_seconds_of_a_base_that_other_processes_slowed_down_may_hide_a_regression() -> None:
    base = [seed_run(images, disturbed=images == BASE[0]) for images in BASE]
    by_unit = findings(base, list(map(seed_run, LIKE_BASE)))
    assert by_unit["FID (tiny) at most 30, images"].verdict == Verdict.PASS
    finding = by_unit["FID (tiny) at most 30, seconds"]
    assert finding.verdict == Verdict.WARNING
    assert "other processes slowed down 1 of the 10 seeds of base, so a regression may be hidden" in finding.message


def test_different_targets_are_not_comparable() -> None:
    other = seed_run(1000)
    other = other.model_copy(update={"targets": [other.targets[0].model_copy(update={"value": 20.0})]})
    with pytest.raises(
        NotComparableError, match=r"different targets: FID \(tiny\) at most 30 and FID \(tiny\) at most 20"
    ):
        TargetTimes(TrainingRuns([seed_run(1000)], [other]), {"images": 5.0})
    with pytest.raises(NotComparableError, match=r"different targets: FID \(tiny\) at most 30 and none"):
        TargetTimes(TrainingRuns([seed_run(1000)], [seed_run(1000, targets=[])]), {"images": 5.0})


def test_a_target_of_a_metric_with_another_label_is_the_same() -> None:
    base, head = seed_run(1000), seed_run(1000)
    head.targets[0] = head.targets[0].model_copy(update={"label": "FID (renamed)"})
    times = TargetTimes(TrainingRuns([base], [head]), {"images": 5.0})
    assert list(times.quantities) == ["FID (renamed) at most 30, images"]


REACHED = "REACHED = lambda seed: (1000 * (90 + seed % 5), 1000 * (91 + seed % 5))\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [(REACHED + "TARGET = 20.0\n", "targets: fid 30.0 and fid 20.0"), ("# none\n", "targets: fid 30.0 and none")],
)
def test_other_targets_are_refused_before_anything_is_trained(text: str, message: str, commit: Any) -> None:
    commit(FAST + REACHED)
    commit(FAST + text)
    outcome = run_command("check", "dcgan-fashion", "-p", "own_loss.py", "--against", "HEAD~1", "--quality")
    assert message in " ".join(outcome.output.split())
    assert "smoke run" not in outcome.output
    assert outcome.exit_code == ExitCode.NOT_COMPARABLE


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (REACHED + "# another text\n", ExitCode.DONE, "PASS: FID (tiny) at most 30, images: head needs"),
        (REACHED.replace("90", "150").replace("91", "151"), ExitCode.REGRESSION, "REGRESSED: FID (tiny) at most 30"),
        ("REACHED = lambda seed: (200_000, None)\n", ExitCode.REGRESSION, "head does not reach it, unlike base"),
    ],
)  # fmt: skip
def test_quality_includes_targets(text: str, code: int, message: str, commit: Any) -> None:
    commit(FAST + REACHED)
    commit(FAST + text)
    arguments = ("check", "dcgan-fashion", "-p", "own_loss.py", "--against", "HEAD~1", "--no-speed", "--quality")
    outcome = run_command(*arguments, "--json")
    assert message in " ".join(outcome.stderr.split())
    assert outcome.exit_code == code
    (report,) = json.loads(outcome.stdout, parse_constant=pytest.fail)["checks"]  # strict JSON: no Infinity
    assert "FID (tiny) at most 30, seconds" in report["quantities"]
    assert report["smoke"]["head"][0]["targets"] == []  # too short for targets
    assert len(report["quality"]["head"][0]["targets"]) == 1


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        ("", ExitCode.REGRESSION, "REGRESSED: FID (tiny) at most 30, seconds"),
        ('PLATFORM = "Linux 6.2"\n', ExitCode.DONE, "baseline: platform Linux 6.1 -> Linux 6.2"),
    ],
)
def test_more_seconds_than_the_baseline_after_an_update_are_advisory(
    more: str, code: int, message: str, commit: Any
) -> None:
    repository = commit(FAST + REACHED)
    common = ("dcgan-fashion", "-p", "own_loss.py", "--quality")
    assert run_command("baseline", "record", *common, "--out", "baseline.json").exit_code == ExitCode.DONE
    (repository / "own_loss.py").write_text(FAST.replace("1000", "500") + REACHED + more)
    outcome = run_command("check", *common, "--baseline", "baseline.json", "--no-speed")
    assert message in " ".join(outcome.output.split())
    assert outcome.exit_code == code


def work(*overrides: str, targets: bool, **length_and_seed: Any) -> dict[str, Any]:
    """The reply of the real worker, in this process."""
    config = SessionConfig("dirac-gan", list(overrides), device="cpu")
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr("ganbench.gate.side.Worker", lambda _, request: request)
        request: Any = Side("head").start("train", config, length_and_seed, targets)
        return worker.train({**request, "folder": folder}, print, SimpleQueue())


def test_a_real_training_run_reports_targets_and_none_ends_it() -> None:
    target = 'targets=[{metric="distance", value=1.0, stop=true}]'
    schedule = "metrics.0.at_epochs=[0, 40, 80]"
    reply = work("loss.r1_gamma=1", schedule, target, targets=True, seed=1)
    (reached,) = reply["targets"]
    assert reached["missed"]["images"] + 40 == reached["reached"]["images"] <= 80
    assert reply["message"] is None
    assert reply["metrics"][0]["value"] is not None  # trained to the end
    assert work(schedule, target, targets=False, epochs=None, steps=5)["targets"] == []
