"""Time to target: the score that reaches it, what it took until then, and training that ends there."""

from __future__ import annotations

import math
from itertools import takewhile
from pathlib import Path

import pytest
import torch
from callbacks import StopAt
from command_line import run_command
from linear_gan import OVERRIDES, Noting, plugin
from run_spec import run

from ganbench import Callback, UsageError
from ganbench.errors import ExitCode
from ganbench.plugin.registry import Registry
from ganbench.results.schema import MetricPoint, Result, load_result
from ganbench.results.target import TargetResult
from ganbench.runtime.checkpoint import load_checkpoint
from ganbench.spec.loading import load_spec, load_stopped_spec
from ganbench.training.trial import run_trial

LEARNS = "def build_optimizer(options, context):\n    return lambda parameters: torch.optim.Adam(parameters, lr=1e-2)\n"
METRIC = '{name="fid", features={name="raw", size=7}, num_samples=20, at_epochs=[0, 1, 2, 4]}'
TWO_VALUES = METRIC.replace('"fid"', '"precision-recall"')
FIVE_EPOCHS = [*OVERRIDES, "training.steps=25", f"metrics=[{METRIC}]"]  # of 5 steps with 8 images
OPTIONS = [argument for override in FIVE_EPOCHS for argument in ("-o", override)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("targets")


@pytest.fixture(scope="module")
def learner(folder: Path) -> Registry:
    """The smallest GAN, with a learning rate that changes its scores."""
    return plugin(folder, LEARNS)


@pytest.fixture(scope="module")
def plain(learner: Registry, folder: Path) -> Path:
    """The directory of a run without targets."""
    train(learner, folder / "plain")
    return folder / "plain"


@pytest.fixture(scope="module")
def points(plain: Path) -> list[MetricPoint]:
    """The scores of that run."""
    return curve_of(load_result(plain))


def train(registry: Registry, out: str | Path, *overrides: str, callback: Callback | None = None) -> Result:
    spec = load_spec("dcgan-fashion", registry, [*FIVE_EPOCHS, *overrides])
    return run(spec, device="cpu", out=Path(out), callback=callback, window_seconds=0.001)[0]


def resume(registry: Registry, out: str, *overrides: str, callback: Callback | None = None) -> Result:
    spec = load_stopped_spec(Path(out), registry, overrides)
    return run(spec, device="cpu", resume=Path(out), callback=callback, window_seconds=0.001)[0]


def fid_at_most(value: float, stop: bool = False) -> str:
    return f'targets=[{{metric="fid", value={value!r}, stop={str(stop).lower()}}}]'


def curve_of(result: Result) -> list[MetricPoint]:
    return result.metrics[0].curve


def state_of(out: Path) -> dict[str, torch.Tensor]:
    """All weights at the end of a run, and the state of its random numbers."""
    state = load_checkpoint(out / "checkpoint.pt").state
    weights = {
        f"{player} {name}": value for player in state["networks"] for name, value in state["networks"][player].items()
    }
    return {**weights, **state["rngs"]}


def assert_equal_states(one: Path, other: Path) -> None:
    torch.testing.assert_close(state_of(one), state_of(other), rtol=0, atol=0)


def an_improvement(points: list[MetricPoint]) -> int:
    """The index of the last score before the end that is better than all before it."""
    values = [point.value for point in points]
    return max(index for index in range(1, len(values) - 1) if values[index] < min(values[:index]))


def seconds_until(result: Result, images: int) -> float:
    """Training time, from the windows of a result."""
    windows, seen = result.throughput.windows, [0]
    for window in windows:
        seen.append(seen[-1] + window.images)
    before = len(list(takewhile(lambda count: count < images, seen)))
    return math.fsum(window.seconds for window in windows[:before])


def test_a_target_is_reached_between_two_scores_and_changes_nothing(
    learner: Registry, plain: Path, points: list[MetricPoint]
) -> None:
    index = an_improvement(points)
    result = train(learner, "run", fid_at_most(points[index].value))
    (target,) = result.targets
    assert (target.missed.images, target.missed.value) == (points[index - 1].images, points[index - 1].value)
    assert (target.reached.images, target.reached.value) == (points[index].images, points[index].value)
    assert target.reached.seconds == pytest.approx(seconds_until(result, points[index].images))
    assert 0 <= target.missed.seconds < target.reached.seconds < sum(w.seconds for w in result.throughput.windows)
    assert target.reached.joules is None  # on a CPU
    assert curve_of(result) == points
    assert (result.status, result.message) == ("completed", None)
    assert_equal_states(plain, Path("run"))


def test_a_target_that_is_not_reached_names_the_last_score(learner: Registry) -> None:
    result = train(learner, "run", fid_at_most(0.001, stop=True))
    (target,) = result.targets
    assert target.reached is None
    assert target.missed.images == curve_of(result)[-1].images == 25 * 8
    assert result.message is None


def test_a_target_can_be_reached_before_training(learner: Registry) -> None:
    (target,) = train(learner, "run", fid_at_most(1e9)).targets
    assert target.missed is None
    assert (target.reached.images, target.reached.seconds) == (0, 0.0)


def test_the_end_of_training_can_reach_a_target(learner: Registry, points: list[MetricPoint]) -> None:
    assert all(points[-1].value < point.value for point in points[:-1])
    (target,) = train(learner, "run", fid_at_most(points[-1].value)).targets
    assert (target.missed.images, target.reached.images) == (4 * 40, 5 * 40)


def test_a_target_with_stop_ends_training_and_the_run_is_complete(
    learner: Registry, plain: Path, points: list[MetricPoint]
) -> None:
    index = an_improvement(points)
    result = train(learner, "run", fid_at_most(points[index].value, stop=True))
    assert result.status == "completed"
    steps = points[index].images // 8
    assert result.message.startswith(f"training ended after step {steps}, because targets.0 is reached: FID (raw")
    assert sum(row.images for row in result.history) == points[index].images
    assert curve_of(result) == points[: index + 1]
    noting = Noting()
    again = resume(learner, "run", callback=noting)
    (complete,) = (message for message in noting.warnings if "the run is complete" in message)
    assert "because targets.0 is reached: FID (raw" in complete
    assert complete.endswith("to train further, resume with -o targets.0.stop=false")  # as below
    assert (again.status, again.message, again.targets) == (result.status, result.message, result.targets)
    assert again.history == result.history
    onwards = resume(learner, "run", "targets.0.stop=false")
    assert curve_of(onwards) == points
    assert_equal_states(plain, Path("run"))


def test_a_stop_before_training_takes_no_step(learner: Registry) -> None:
    result = train(learner, "run", fid_at_most(1e9, stop=True))
    assert result.status == "completed"
    assert result.message.startswith("training ended after step 0, because targets.0 is reached")
    assert result.history == []
    assert resume(learner, "run").message == result.message


def test_the_time_adds_up_over_interruptions(learner: Registry, points: list[MetricPoint]) -> None:
    first = train(learner, "run", fid_at_most(points[-1].value), callback=StopAt(7))
    assert first.status == "interrupted"
    assert first.targets[0].missed.seconds == pytest.approx(seconds_until(first, first.targets[0].missed.images))
    result = resume(learner, "run")
    (target,) = result.targets
    assert target.reached.images == 200
    assert result.throughput.windows[: len(first.throughput.windows)] == first.throughput.windows
    assert target.reached.seconds == pytest.approx(sum(window.seconds for window in result.throughput.windows))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (['targets=[{metric="d_loss", value=1}]'], "targets.0.metric is 'd_loss', but the benchmark has no metric of "),
        (["metrics.0.at_epochs=[5]", fid_at_most(1)], "targets.0.metric is 'fid', which is scored only at the end of "),
        ([f"metrics=[{TWO_VALUES}]", 'targets=[{metric="precision-recall", value=1}]'],
         "metric 'precision-recall' gives: precision-recall.precision, precision-recall.recall"),
        (['targets=[{metric="fid.mean", value=1}]'], "targets.0.metric is 'fid.mean', which is not a score with "),
        (['targets=[{metric="fid", value=1}, {metric="fid", value=1.0}]'], "targets: two have the metric 'fid' and "),
        (['targets=[{metric="fid"}]'], "targets.0.value: required"),
    ],
)  # fmt: skip
def test_an_impossible_target_is_refused_before_training(overrides: list[str], message: str, learner: Registry) -> None:
    with pytest.raises(UsageError) as raised:
        train(learner, "run", *overrides)
    assert message in str(raised.value)
    assert not Path("run").exists()


def test_higher_is_better_and_one_of_several_values(learner: Registry) -> None:
    result = train(learner, "run", f"metrics=[{TWO_VALUES}]", 'targets=[{metric="precision-recall.recall", value=0.0}]')
    (target,) = result.targets
    assert target.higher_is_better
    assert str(target) == "precision and recall (raw): recall at least 0"
    assert target.reached.images == 0  # every recall is at least 0


def test_a_game_ends_when_its_players_are_near_the_solution(registry: Registry) -> None:
    overrides = ["loss.r1_gamma=1", "metrics.0.at_epochs=[]", "metrics.0.every_kimg=0.01"]
    spec = load_spec("dirac-gan", registry, [*overrides, 'targets=[{metric="distance", value=0.1, stop=true}]'])
    result, _ = run(spec, device="cpu", out=Path("run"))
    (target,) = result.targets
    assert target.reached.value <= 0.1 < target.missed.value
    assert target.reached.images - target.missed.images == 10
    assert sum(row.images for row in result.history) == target.reached.images < 400


def test_a_sweep_ignores_targets_as_it_scores_only_the_end(registry: Registry) -> None:
    target = 'targets=[{metric="distance", value=0.1, stop=true}]'
    spec = load_spec("dirac-gan", registry, ["training.steps=5", "metrics.0.at_epochs=[]", target])
    assert run_trial(spec, "cpu").steps == 5


def test_the_command_line_shows_targets_and_why_training_ended(
    learner: Registry, folder: Path, points: list[MetricPoint]
) -> None:
    index = an_improvement(points)
    targets = fid_at_most(points[index].value, stop=True)
    command = ["run", "dcgan-fashion", "-p", folder / "own.py", *OPTIONS, "-o", targets, "--out", "run"]
    outcome = run_command(*command, "--device", "cpu", columns=250)
    assert outcome.exit_code == ExitCode.DONE, outcome.output
    text = " ".join(outcome.output.split())
    before, after = (f"{point.images:,} images ({point.value:.4f})" for point in points[index - 1 : index + 1])
    assert f"between {before} and {after}" in text
    assert "completed: training ended after step" in text
    outcome = run_command("run", "--resume", "run", "--json")
    assert outcome.exit_code == ExitCode.DONE
    assert "the run is complete, because targets.0 is reached" in outcome.stderr
    (stored,) = Result.model_validate_json(outcome.stdout).targets
    assert isinstance(stored, TargetResult)
    assert stored.reached.images == points[index].images
