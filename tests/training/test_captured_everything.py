"""A captured step equals an eager one with every feature of a step.

On a CPU, a tape captures steps; with CUDA, the same tests run on CUDA graphs.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conditional_gan import CONDITIONAL, EVERYTHING, PARTS, SOURCE
from conftest import DEVICES
from tape import TapeCapturer

from ganbench import Callback, Registry
from ganbench.runtime.precision import deterministic_convolutions
from ganbench.spec.loading import load_spec
from ganbench.training.engines import EagerEngine
from ganbench.training.engines.graph import GraphCaptureError, GraphEngine, as_graph_capture_error
from ganbench.training.engines.selection import MAX_NONDETERMINISM, make_capturer, verify
from ganbench.training.engines.verification import Verification
from ganbench.training.position import Position
from ganbench.training.preparation import PreparedRun, prepare
from ganbench.training.state.step_state import restore_state, snapshot_state
from ganbench.training.warmup import examples_of_each_size


def prepared(folder: Path, source: str, overrides: list[str], device: str = "cpu") -> PreparedRun:
    (folder / "conditional.py").write_text(source)
    registry = Registry.load([str(folder / "conditional.py")])
    spec = load_spec("dcgan-fashion", registry, [*CONDITIONAL, *overrides])
    return prepare(spec, torch.device(device), folder, Callback())


def captured(run: PreparedRun) -> tuple[GraphEngine, Verification]:
    eager = EagerEngine(run.step, run.batches)
    examples = examples_of_each_size(run)
    state = snapshot_state(run.step, run.batches)
    for inputs in examples:
        eager(inputs, Position(0, 0), on_phase_end=lambda _: None)
    with as_graph_capture_error():
        graph = GraphEngine(eager, make_capturer(run.step, run.batches.flips) or TapeCapturer(), examples)

    def restore() -> None:
        restore_state(state, run.step, run.batches)

    return graph, Verification(eager, examples, 3, restore, 1000)


# the shipped adaptive augmentation, with a penalty that differentiates it twice
ADA = ['augmentations=[{name="ada",every=2,kimg=0.01}]', 'penalties=[{name="r1",weight=0.1}]']
SCHEDULED_ADA = ['augmentations=[{name="ada",p={name="cosine",start=0.0,end=1.0},color=0.5,cutout=1.0}]', ADA[1]]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "overrides", [*PARTS.values(), EVERYTHING, ADA, SCHEDULED_ADA], ids=[*PARTS, "everything", "ada", "scheduled ada"]
)
def test_a_captured_step_equals_the_eager_one(overrides: list[str], device: str, tmp_path: Path) -> None:
    with deterministic_convolutions():
        graph, verification = captured(prepared(tmp_path, SOURCE, overrides, device))
        # bitwise, unless a GPU adds in another order in each eager run, too
        assert verify(graph, verification, exactly=device == "cpu") < MAX_NONDETERMINISM


def test_every_combination_of_due_penalties_is_captured_and_verified(tmp_path: Path) -> None:
    graph, verification = captured(prepared(tmp_path, SOURCE, PARTS["lazy"]))
    assert {due for _, due in graph._captured} == {(True, True), (False, False), (False, True)}
    steps = {graph.eager.step.penalties.due(at.steps) for _, at in verification.sequence}
    assert steps == {due for _, due in graph._captured}


@pytest.mark.parametrize(
    ("replaced", "by", "overrides", "message"),
    [
        (
            "self.p.add_(0.05 * logits.sign().mean()).clamp_(0, 1)",
            "self.count = getattr(self, 'count', 0) + 1",
            PARTS["adaptive"],
            r"^augmentation 0\.count changes in Python from step to step",
        ),
        (
            "self.p.add_(0.05 * logits.sign().mean()).clamp_(0, 1)",
            "self.p.fill_(min(1.0, self.p.item() + 0.01))",
            PARTS["adaptive"],
            "called a synchronizing operation",
        ),
    ],
)
def test_what_cannot_be_captured_is_named(
    replaced: str, by: str, overrides: list[str], message: str, tmp_path: Path
) -> None:
    assert replaced in SOURCE
    run = prepared(tmp_path, SOURCE.replace(replaced, by), overrides)

    def capture_and_verify() -> None:
        verify(*captured(run), exactly=True)

    with pytest.raises(GraphCaptureError, match=message):
        capture_and_verify()
