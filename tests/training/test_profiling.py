"""`--profile`: every operation of a step is assigned to a phase."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import UNSCORED
from run_spec import run

from ganbench.plugin.registry import Registry
from ganbench.results.schema import load_result
from ganbench.spec.loading import load_spec


def test_a_profiled_run_reports_the_time_by_phase_and_kernel(registry: Registry, tmp_path: Path) -> None:
    spec = load_spec("dcgan-fashion", registry, [*UNSCORED, "training.steps=3"])
    result, directory = run(spec, device="cpu", out=tmp_path / "run", profile=True)
    profile = load_result(directory.path).profile
    assert profile == result.profile
    assert profile is not None
    assert list(profile.phases) == ["data", "discriminator", "generator"]
    assert 0 < profile.phases["data"] < min(profile.phases["discriminator"], profile.phases["generator"])
    assert sum(kernel.seconds_per_step for kernel in profile.kernels) == pytest.approx(sum(profile.phases.values()))
    calls = {(kernel.phase, kernel.name): kernel.calls_per_step for kernel in profile.kernels}
    # one update of each player; in its own update, the discriminator sees real and fake images
    assert calls["discriminator", "aten::_fused_adam_"] == calls["generator", "aten::_fused_adam_"] == 1
    assert calls["discriminator", "aten::convolution"] == 2 * 2 + 3
    assert calls["generator", "aten::convolution"] == 2 + 3
    assert calls["discriminator", "aten::convolution_backward"] == 2 * 2
    assert [kernel.seconds_per_step for kernel in profile.kernels] == sorted(
        (kernel.seconds_per_step for kernel in profile.kernels), reverse=True
    )
    trace = json.loads((directory.path / result.artifacts["trace"]).read_text())
    assert any(event.get("name") == "ganbench: generator" for event in trace["traceEvents"])


def test_a_lazy_penalty_counts_by_its_share_of_the_steps(registry: Registry, tmp_path: Path) -> None:
    lazy = ["penalties=[{name='r1', weight=1.0, every=4}]", "training.steps=3"]
    spec = load_spec("dcgan-fashion", registry, [*UNSCORED, *lazy])
    result, _ = run(spec, device="cpu", out=tmp_path / "run", profile=True)
    assert result.profile is not None
    assert result.profile.steps == 2 * 5
    calls = {(kernel.phase, kernel.name): kernel.calls_per_step for kernel in result.profile.kernels}
    # the discriminator's two forward passes, and in one of four steps the gradient of one of them
    assert calls["discriminator", "aten::_fused_adam_"] == pytest.approx(1)
    assert calls["discriminator", "aten::convolution_backward"] < 2 * 2 + 2
    assert sum(kernel.seconds_per_step for kernel in result.profile.kernels) == pytest.approx(
        sum(result.profile.phases.values())
    )


def test_a_run_that_was_not_profiled_has_no_profile(registry: Registry, tmp_path: Path) -> None:
    spec = load_spec("dcgan-fashion", registry, [*UNSCORED, "training.steps=1"])
    result, _ = run(spec, device="cpu", out=tmp_path / "run")
    assert result.profile is None
    assert "trace" not in result.artifacts
