"""A resumed run with every feature of a step is bitwise identical to an uninterrupted one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from callbacks import AtStep
from conditional_gan import CONDITIONAL, EVERYTHING, PARTS, SOURCE
from run_spec import run

from ganbench import Callback, Registry, Result
from ganbench.runtime.checkpoint import load_checkpoint
from ganbench.spec.loading import load_spec, load_stopped_spec
from ganbench.training.state.leaves import first_difference, leaves_of

SCHEDULED_ADA = ['augmentations=[{name="ada",p={name="cosine",start=0.0,end=1.0},color=0.5,cutout=1.0}]']


def lose_the_step() -> None:
    """End the run as a third Ctrl-C does, so that it resumes from the checkpoint of the step before."""
    raise KeyboardInterrupt


def break_at(step: int | None) -> Callback | None:
    return None if step is None else AtStep(step, lose_the_step)


def registry_of(folder: Path) -> Registry:
    (folder / "conditional.py").write_text(SOURCE)
    return Registry.load([str(folder / "conditional.py")])


def trained(folder: Path, name: str, overrides: list[str], stops: list[int]) -> tuple[Result, dict[str, Any]]:
    """Return the result and the final state of a run that was interrupted after these steps."""
    registry, out = registry_of(folder), folder / name
    often = ["checkpoint.every_minutes=0"] if stops else []
    spec = load_spec("dcgan-fashion", registry, [*CONDITIONAL, *overrides, *often])
    short: dict[str, Any] = {"device": "cpu", "window_seconds": 1e-9}
    result, _ = run(spec, out=out, callback=break_at(stops[0] if stops else None), **short)
    for number, stop in enumerate([*stops[1:], None] if stops else []):
        assert result.status == "interrupted"
        assert load_checkpoint(out / "checkpoint.pt").progress.steps == stops[number] - 1  # within an epoch
        stopped = load_stopped_spec(out, registry)
        result, _ = run(stopped, resume=out, callback=break_at(stop), **short)
    assert result.status == "completed"
    return result, load_checkpoint(out / "checkpoint.pt").state


@pytest.mark.parametrize(
    ("overrides", "stops"),
    [*((part, [3]) for part in PARTS.values()), (SCHEDULED_ADA, [3]), (EVERYTHING, [3, 5])],
    ids=[*PARTS, "scheduled ada", "everything, twice"],
)
def test_a_resumed_run_equals_an_uninterrupted_one(overrides: list[str], stops: list[int], tmp_path: Path) -> None:
    uninterrupted, state = trained(tmp_path, "uninterrupted", overrides, [])
    resumed, resumed_state = trained(tmp_path, "resumed", overrides, stops)
    assert [(row.d_loss, row.g_loss, row.monitors) for row in resumed.history] == [
        (row.d_loss, row.g_loss, row.monitors) for row in uninterrupted.history
    ]
    assert [metric.curve for metric in resumed.metrics] == [metric.curve for metric in uninterrupted.metrics]
    assert first_difference(leaves_of(resumed_state), leaves_of(state)) is None


def test_a_penalty_from_before_the_stop_is_still_reported(tmp_path: Path) -> None:
    rare = ['penalties=[{name="r1",weight=0.1,every=100}]', "training.steps=6"]
    (row,) = trained(tmp_path, "resumed", rare, [3])[0].history
    (expected,) = trained(tmp_path, "uninterrupted", rare, [])[0].history
    assert row.monitors["r1"] == expected.monitors["r1"] > 0


def test_everything_is_in_the_checkpoint(tmp_path: Path) -> None:
    _, state = trained(tmp_path, "run", EVERYTHING, [])
    assert set(state["rngs"]) == {"latents", "labels", "order", "flips"}
    assert state["augmentations"][0]["state"]["p"] != 0.5
    assert state["ema"]["embed.weight"].shape == (10, 4)
    assert (state["penalty_values"] > 0).all()
