"""`ganbench sweep`: the requested grid, and the outcome of each point."""

from __future__ import annotations

import csv
import errno
import json
import re
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run_command
from conftest import SMALL
from matplotlib.figure import Figure
from PIL import Image

from ganbench import UsageError
from ganbench.errors import ExitCode
from ganbench.suite.sweep.axis import Axis, split_overrides
from ganbench.suite.sweep.plot import draw_line, draw_plane
from ganbench.suite.sweep.sweep import Outcome, PlannedTrial, Sweep, SweepPoint, run_trials
from ganbench.system.locks import locked_folder
from ganbench.training.trial import Trial

BOTH = ["-o", "optimizer.generator.lr=0.01:0.49:9", "-o", "optimizer.discriminator.lr=0.01:0.49:9"]


def invoke(*arguments: str) -> tuple[int, str]:
    outcome = run_command("sweep", *arguments, columns=300)
    return outcome.exit_code, outcome.output


THEORY = ["--theory", "ganbench_games.theory:convergence_rate"]
SHORT = ["-o", "training.steps=1"]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("override", "axis"),
    [
        ("a.b=0:1:5", Axis("a.b", (0, 0.25, 0.5, 0.75, 1))),
        ("a.b=0:0.3:4", Axis("a.b", (0, 0.1, 0.2, 0.3))),
        ("a.b=-1e-1:.5:3", Axis("a.b", (-0.1, 0.2, 0.5))),
        ("a.b=1e-5:1e-3:3:log", Axis("a.b", (1e-5, 1e-4, 1e-3), logarithmic=True)),
        ("a.b=-0.2:0.4:7", Axis("a.b", (-0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.4))),
        ("training.seed=0:4:5", Axis("training.seed", (0, 1, 2, 3, 4))),
        ("a.b=9007199254740993:9007199254740995:3", Axis("a.b", tuple(9007199254740993 + step for step in range(3)))),
        ("a.b=0.0:4.0:5", Axis("a.b", (0.0, 1.0, 2.0, 3.0, 4.0))),
    ],
)
def test_a_range_gives_its_values(override: str, axis: Axis) -> None:
    plain, axes = split_overrides(["model.x=1.0", override, "loss=bce"])
    assert plain == ["model.x=1.0", "loss=bce"]
    assert axes == [axis]


def test_integers_stay_integers() -> None:
    _, (seeds, rates) = split_overrides(["training.seed=0:2:3", "x.lr=0.0:2.0:3"])
    assert [seeds.override(value) for value in seeds.values] == [f"training.seed={seed}" for seed in range(3)]
    assert rates.override(rates.values[1]) == "x.lr=1.0"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "sweep needs one or two ranges.*got 0"),
        (["a=0:1:2", "b=0:1:2", "c=0:1:2"], "got 3"),
        (["a=0:1:2", "a=0:1:3"], "two ranges for a"),
        (["a=0:1:1"], "a range must have 2 to 10,000 values, got 1"),
        (["a=0:1:99999999999"], "got 99,999,999,999"),
        (["a=1:1e400:3"], "the ends of a range must be finite"),
        (["a=1:1:5"], "-o a: the values of a range must differ, got 1:1:5"),
        (["a=1:1.00000000000001:3"], "must differ"),  # rounded
        (["a=-1:1:3:log"], "must be positive, got -1 and 1"),
    ],
)
def test_invalid_ranges_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        split_overrides(overrides)


@pytest.mark.slow
def test_the_boundary_of_the_saddle_is_at_a_quarter_for_both_steps(tmp_path: Path) -> None:
    code, text = invoke("saddle-quadratic", *BOTH, *THEORY, "--out", str(tmp_path / "sweep"))
    assert code == ExitCode.DONE, text
    assert "agrees with theory: 72 of 72 points" in text  # on the boundary, neither is conclusive
    found = rows(tmp_path / "sweep")
    assert len(found) == 81
    for row in found:
        alpha, beta = (float(row[f"optimizer.{player}.lr"]) for player in ("generator", "discriminator"))
        larger = max(alpha, beta)
        assert row["outcome"] == ("diverged" if larger > 0.25 else "bounded" if larger == 0.25 else "converged")
        assert float(row["convergence_rate"]) == pytest.approx(max(abs(1 - 8 * alpha), abs(1 - 8 * beta)))
    with Image.open(tmp_path / "sweep" / "sweep.png") as picture:
        picture.verify()


@pytest.mark.parametrize(
    ("theory", "message"),
    [
        ("no_such_module:rate", "--theory no_such_module:rate: ModuleNotFoundError: No module named"),
        ("ganbench_games.theory:rate", "has no attribute 'rate'"),
        ("ganbench_games.theory:RATES", "not a function"),
        ("math:sqrt", "--theory math:sqrt raised TypeError"),
        ("builtins:str", "returned '.*'; expected a number or None"),
    ],
)
def test_an_unusable_theory_is_reported_before_training(theory: str, message: str, tmp_path: Path) -> None:
    code, text = invoke("saddle-quadratic", *BOTH, "--theory", theory, "--out", str(tmp_path / "sweep"))
    assert code in (ExitCode.USAGE, ExitCode.FAILED)
    assert re.search(message, text)
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize(
    ("directions", "message"),
    [({}, "higher_is_better is None for std, fid; add"), ({"fid": False}, "fid is negative, but")],
    ids=["none is ranked", "the ranked one is negative"],
)
def test_a_sweep_needs_a_ranked_score_that_is_not_negative(directions: dict[str, bool], message: str) -> None:
    scores: dict[str, float | None] = {"std": 1.0, "fid": -1.0}
    spec: Any = None
    with pytest.raises(UsageError, match=f"^sweep: .*{message}"):
        list(run_trials([PlannedTrial((0.0,), spec, None)], lambda _: Trial(1, {}, scores, scores, directions, "")))


def test_a_negative_step_for_y_diverges(tmp_path: Path) -> None:
    code, text = invoke(
        "saddle-quadratic", "-o", "optimizer.discriminator.lr=-0.24:0.24:9", *THEORY, "--out", str(tmp_path / "sweep")
    )
    assert code == ExitCode.DONE, text
    assert "optimizer.discriminator.lr from -0.24 to -0.06: diverged" in text
    assert "optimizer.discriminator.lr from 0 to 0: bounded" in text
    assert "optimizer.discriminator.lr from 0.06 to 0.24: converged" in text
    assert "agrees with theory: 8 of 8 points" in text
    assert "best: optimizer.discriminator.lr=0.12: " in text  # the nearest to 1/8, where y is 0 in one step


def test_any_benchmark_can_be_swept_over_any_field(tmp_path: Path) -> None:
    small = [argument for override in (*SMALL, "training.steps=3") for argument in ("-o", override)]
    small += ["-o", "optimizer.discriminator.lr=1e-4:1e8:2:log", "-o", "training.seed=1:2:2"]
    code, text = invoke("dcgan-fashion", *small, "--device", "cpu", "--json", "--out", str(tmp_path / "sweep"))
    assert code == ExitCode.DONE, text
    printed = json.loads(text[text.index("{") :])
    assert printed["metric"] == "FID (fashion-cnn)"
    assert sum(printed["outcomes"].values()) == 4
    assert printed["agrees_with_theory"] is None
    assert printed["best"]["optimizer.discriminator.lr"] == 1e-4
    found = rows(tmp_path / "sweep")
    assert [(row["optimizer.discriminator.lr"], row["training.seed"]) for row in found] == [
        ("0.0001", "1"), ("0.0001", "2"), ("100000000.0", "1"), ("100000000.0", "2"),
    ]  # fmt: skip
    assert [row["outcome"] for row in found[2:]] == ["diverged", "diverged"]
    assert [row["FID (fashion-cnn), final"] for row in found[2:]] == ["", ""]  # a diverged run is not scored
    assert float(found[0]["FID (fashion-cnn), final"]) != float(found[1]["FID (fashion-cnn), final"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing", *BOTH], "unknown benchmark 'nothing'"),
        (["saddle-quadratic"], "sweep needs one or two ranges"),
        (["saddle-quadratic", "-o", "model.z=0:1:2"], "model.z: unknown key"),
        (
            ["saddle-quadratic", "-o", "model.x=0:1:2", "-o", "metrics=[]"],
            "has no metric, which determines the outcomes",
        ),
        (["saddle-quadratic", "-o", "training.seed=0.5:1.5:2"], "training.seed"),
        (["saddle-quadratic", "-o", "training.steps=10:25:3"], "training.steps"),  # 17.5; nothing is trained
        (["saddle-quadratic", *BOTH, "-o", "training.budget_seconds=1"], "training.budget_seconds"),
        (
            ["saddle-quadratic", *BOTH, "-o", "engine.mode=cuda_graph", "--device", "cpu"],
            "engine.mode: cuda_graph needs a CUDA",
        ),
        (["saddle-quadratic", *BOTH, "--out", "/proc/version"], "/proc/version: this is a file"),
    ],
)
def test_invalid_sweeps_exit_with_2(arguments: list[str], message: str) -> None:
    code, text = invoke(*arguments)
    assert code == ExitCode.USAGE
    assert message in text
    assert not list(Path().rglob("sweep.csv"))


CHANGING_DATA = """
from dataclasses import replace
from pathlib import Path

from ganbench import DatasetPlugin, hookimpl
from ganbench_datasets.fashion_mnist.sources import embedded_subset

def build(options, context):
    data = embedded_subset("a NOTICE about the data")
    images, labels = data.train.tensors
    if Path("changed").exists():
        return replace(data, train=type(data.train)(images.flip(-1), labels))
    return replace(data, train=type(data.train)(images // 9, labels))  # dark, which is warned of

@hookimpl
def ganbench_datasets():
    return [DatasetPlugin(name="changing", summary="Changes", build=build)]
"""


def test_a_sweep_shows_each_message_once_and_refuses_data_that_changes_between_points(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("changing.py").write_text(CHANGING_DATA)
    small = [argument for override in (*SMALL[1:], "training.steps=1") for argument in ("-o", override)]
    swept = ["dcgan-fashion", *small, "-o", "dataset=changing", "-p", "changing.py", "-o", "model.dropout=0:0.3:3"]
    code, text = invoke(*swept, "--out", "sweep")
    assert code == ExitCode.DONE, text
    assert text.count("a NOTICE about the data") == text.count("no value of the examined train images is above") == 1
    first, *others = rows(Path("sweep"))
    assert [row["content_sha256"] for row in others] == 2 * [first["content_sha256"]]
    write = Sweep.write_csv
    monkeypatch.setattr(Sweep, "write_csv", lambda *arguments: (write(*arguments), Path("changed").touch()))
    code, text = invoke(*swept, "--out", "other")
    assert code == ExitCode.NOT_COMPARABLE
    assert "sweep: dataset 'changing' (from changing.py" in text
    assert "the 1 points so far are in other/sweep.csv" in text


FAILS_LATER = """
from ganbench import LossPlugin, Options, hookimpl
from ganbench_games.saddles import Saddle
from pydantic import Field

class FailingOptions(Options):
    at: float = 0.0

def build(options, context):
    if options.at > 2:
        raise RuntimeError("out of luck")
    return Saddle(lambda x, y: x * x - y * y, ascend=True)

@hookimpl
def ganbench_losses():
    return [LossPlugin(name="failing", summary="Fails", options=FailingOptions, build=build)]
"""


def test_a_sweep_that_fails_keeps_the_points_so_far(tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(FAILS_LATER)
    code, text = invoke(
        "saddle-quadratic", "-p", "failing.py", "-o", "loss=failing", "-o", "loss.at=1:4:4", "--out", "sweep"
    )
    assert code == ExitCode.FAILED
    assert "loss 'failing'" in text
    assert "out of luck" in text
    assert "the 2 points so far are in sweep/sweep.csv" in text
    assert [row["loss.at"] for row in rows(Path("sweep"))] == ["1", "2"]
    assert not Path("sweep/sweep.png").exists()


@pytest.mark.parametrize(("fails_at", "shown", "stored"), [(1, 1, 0), (3, 3, 2)])
def test_a_sweep_that_cannot_be_written_shows_its_points(
    fails_at: int, shown: int, stored: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = Sweep.write_csv, []

    def write_or_fail(sweep: Sweep, path: Path) -> None:
        calls.append(path)
        if len(calls) == fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(sweep, path)

    monkeypatch.setattr(Sweep, "write_csv", write_or_fail)
    code, text = invoke("saddle-quadratic", "-o", "optimizer.generator.lr=0.01:0.04:4", *SHORT, "--out", "sweep")
    assert code == ExitCode.FAILED
    assert "error: cannot write sweep/sweep.csv: No space left on device" in text
    assert f"optimizer.generator.lr from 0.01 to {0.01 * shown:g}: " in text
    assert (f"the {stored} points so far are in sweep/sweep.csv" in text) == bool(stored)
    assert Path("sweep").exists() == bool(stored)
    assert not stored or len(rows(Path("sweep"))) == stored


@pytest.mark.parametrize("folder", [".", "link", "empty"])
def test_a_sweep_that_is_interrupted_leaves_a_folder_of_the_user_alone(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    Path("empty").mkdir()
    Path("link").symlink_to("empty")
    monkeypatch.chdir("empty" if folder == "." else ".")
    monkeypatch.setattr("ganbench.training.trial.run_trial", interrupt)
    code, text = invoke("saddle-quadratic", "-o", "optimizer.generator.lr=0.01:0.04:4", "--out", folder)
    assert code == ExitCode.INTERRUPTED
    assert text.strip().endswith("interrupted")
    assert Path(folder).is_dir()
    assert not list(Path(folder).iterdir())


def trial(initial: float | None, final: float | None, higher_is_better: bool = False) -> Trial:
    return Trial(1, {}, {"score": initial}, {"score": final}, {"score": higher_is_better}, "")


@pytest.mark.parametrize(
    ("completed", "outcome"),
    [
        (trial(4.0, 2.0), Outcome.CONVERGED),
        (trial(4.0, 2.1), Outcome.BOUNDED),
        (trial(4.0, 7.9), Outcome.BOUNDED),
        (trial(4.0, 8.0), Outcome.DIVERGED),
        (trial(4.0, 8.0, higher_is_better=True), Outcome.CONVERGED),
        (trial(4.0, 2.0, higher_is_better=True), Outcome.DIVERGED),
        (trial(4.0, 0.0), Outcome.CONVERGED),
        (trial(0.0, 0.0), Outcome.BOUNDED),
        (trial(0.0, 1e-9), Outcome.DIVERGED),
        (trial(4.0, None), Outcome.DIVERGED),
    ],
)
def test_the_metric_determines_the_outcome(completed: Trial, outcome: Outcome) -> None:
    assert SweepPoint((0.0,), completed, None).outcome("score", 2.0) == outcome


def synthetic_sweep(*axes: Axis, rate: Callable[..., float | None]) -> Sweep:
    """Make a sweep whose scores follow the theoretical convergence rate."""
    points = []
    for values in product(*(axis.values for axis in axes)):
        known = rate(*values)
        points.append(SweepPoint(values, trial(1.0, 1.0 if known is None else known**20), known))
    return Sweep("any", axes, 2.0, tuple(points))


def test_the_plot_of_a_plane_has_correct_axes_and_boundary() -> None:
    across, up = Axis("across", (0.0, 1.0, 2.0)), Axis("up", (0.0, 1.0, 2.0, 3.0))
    axes = Figure().subplots()
    field = synthetic_sweep(across, up, rate=lambda x, _: 0.5 if x < 2 else 1.5)
    assert draw_plane(axes, field)
    mesh, contour = axes.collections
    assert mesh.get_array().tolist() == [[0, 0, 2]] * 4  # a row for each value of the second axis
    xs = np.concatenate([path.vertices[:, 0] for path in contour.get_paths()])
    assert xs == pytest.approx(1.5, abs=1e-4)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("across", "up")


def test_the_plot_of_a_line_has_correct_points_and_boundary() -> None:
    axis = Axis("rate", (0.0, 1.0, 2.0, 3.0))
    axes = Figure().subplots()
    assert draw_line(axes, synthetic_sweep(axis, rate=lambda x: None if x == 0 else [0.5, 0.5, 1.5][int(x) - 1]))
    (boundary,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert boundary.get_xdata()[0] == pytest.approx(2.5, abs=1e-4)
    drawn = {tuple(line.get_xdata()) for line in axes.lines if line.get_linestyle() == "None"}
    assert drawn == {(1.0, 2.0), (0.0,), (3.0,)}
    assert not draw_line(Figure().subplots(), synthetic_sweep(axis, rate=lambda _: None))


def test_the_plot_of_a_line_shows_unscored_points() -> None:
    axis = Axis("rate", (0.0, 1.0))
    points = (SweepPoint((0.0,), trial(1.0, 0.5), None), SweepPoint((1.0,), trial(1.0, None), None))
    axes = Figure().subplots()
    draw_line(axes, Sweep("any", (axis,), 2.0, points))
    (crosses,) = [line for line in axes.lines if line.get_marker() == "x"]
    assert crosses.get_xdata().tolist() == [1.0]
    assert axes.get_xlim()[1] > 1


@pytest.mark.parametrize("initial", [0.0, 1.0])
@pytest.mark.parametrize("finals", [(0.0, 0.25, 8.0), (0.0, 0.0, None), (1e-12, 0.0, 3e-5), (-0.5, 0.0, 2.0)])
def test_the_plot_of_a_line_shows_scores_of_0(initial: float, finals: tuple[float | None, ...]) -> None:
    axis = Axis("rate", (0.0, 1.0, 2.0))
    points = tuple(SweepPoint((x,), trial(initial, final), None) for x, final in zip(axis.values, finals, strict=True))
    axes = Figure().subplots()
    draw_line(axes, Sweep("any", (axis,), 2.0, points))
    drawn = [xy for line in axes.lines if line.get_marker() == "o" for xy in line.get_xydata()]
    assert len(drawn) == len([final for final in finals if final is not None])
    heights = [axes.transAxes.inverted().transform(axes.transData.transform(xy))[1] for xy in [*drawn, (0, initial)]]
    assert all(0 <= height <= 1 for height in heights)  # not at minus infinity
    assert len({round(height, 2) for height in heights}) == len({initial, *finals} - {None})  # told apart


def test_a_sweep_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "sweep.csv").write_text("precious")
    code, text = invoke("saddle-quadratic", *BOTH, *THEORY, "--out", str(tmp_path / "sweep"))
    assert code == ExitCode.USAGE
    assert "sweep: not empty; choose another with --out" in text
    assert (tmp_path / "sweep" / "sweep.csv").read_text() == "precious"


def test_two_sweeps_do_not_write_to_one_folder() -> None:
    """A sweep has no files of its own until its first point is trained."""
    other = ["saddle-quadratic", "-o", "optimizer.generator.lr=0.01:0.04:2", *SHORT, "--out", "sweep"]
    with locked_folder(Path("sweep"), "", "", ""):
        code, text = invoke(*other)
    assert code == ExitCode.USAGE
    assert "sweep: another sweep is writing to it; choose another with --out" in text
    assert not Path("sweep/sweep.csv").exists()
    assert invoke(*other)[0] == ExitCode.DONE  # whatever the lock of an ended sweep left there
