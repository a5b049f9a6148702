"""The example of every hook is a plugin that loads, and a benchmark with all of them runs."""

from __future__ import annotations

import inspect
from pathlib import Path
from textwrap import dedent

import pytest
from run_spec import run

from ganbench import Registry
from ganbench.authoring.check import Conditions, check
from ganbench.plugin import hookspecs
from ganbench.plugin.kinds import Kind
from ganbench.spec.loading import load_spec

EXAMPLES = {kind: inspect.getdoc(getattr(hookspecs, kind.hook)) or "" for kind in Kind}


def write_example(kind: Kind, folder: Path) -> str:
    """Write the code in a hook's docstring to a plugin file, and return its path."""
    _, _, code = EXAMPLES[kind].partition("\n\n")
    path = folder / f"example_{kind.replace('-', '_')}.py"
    path.write_text(dedent(code), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("kind", list(Kind))
def test_an_example_registers_one_plugin(kind: Kind, tmp_path: Path) -> None:
    before = {registered.plugin.name for registered in Registry.load().of_kind(kind)}
    after = {registered.plugin.name for registered in Registry.load([write_example(kind, tmp_path)]).of_kind(kind)}
    assert len(after - before) == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(Kind))
def test_an_example_keeps_every_rule(kind: Kind, tmp_path: Path) -> None:
    path = write_example(kind, tmp_path)
    registry = Registry.load([path])
    (example,) = (each for each in registry.of_kind(kind) if each.provider.given == path)
    options = {Kind.METRIC: {"features": "raw"}, Kind.SCHEDULE: {"start": 1.0}}.get(kind, {})
    for verdict in check(example, Conditions(options, (1, 28, 28), tmp_path, {}), registry):
        assert verdict.failure is None, verdict


def test_a_benchmark_with_only_examples_runs(tmp_path: Path) -> None:
    registry = Registry.load([write_example(kind, tmp_path) for kind in Kind])
    overrides = [
        "model=linear",
        "loss=squares",
        "dataset=grays",
        "optimizer.generator=adadelta",
        'metrics=[{name = "mean", features = "thumbnail", num_samples = 64}]',
        "training.steps=5",
    ]
    spec = load_spec("quick-fashion", registry, overrides)
    result, _ = run(spec, device="cpu", out=tmp_path / "run")
    assert result.status == "completed"
    assert result.metrics[0].label == "mean distance (thumbnail)"
    assert result.metrics[0].value is not None
