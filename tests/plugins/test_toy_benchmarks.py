"""mlp-ring and dcgan-digits: they train, score and save what their data allows."""

from __future__ import annotations

from pathlib import Path

import pytest
from linear_gan import Noting
from run_spec import run

from ganbench import Registry
from ganbench.spec.loading import load_spec


def test_mlp_ring_scores_modes_and_plots_points(registry: Registry, tmp_path: Path) -> None:
    overrides = [
        "dataset.train_points=1600",
        "dataset.test_points=160",
        "training.steps=8",
        "metrics.0.num_samples=200",
    ]
    spec = load_spec("mlp-ring", registry, overrides)
    noting = Noting()
    result, _ = run(spec, device="cpu", out=tmp_path / "run", callback=noting)
    assert result.status == "completed"
    assert [score.id for score in result.metrics] == ["modes.covered", "modes.high_quality"]
    covered, high_quality = result.metrics
    assert covered.real_data_score == 8
    assert high_quality.real_data_score == pytest.approx(0.989, abs=0.03)
    assert covered.protocol["quantization"] == "none, float32"
    assert (tmp_path / "run" / "samples" / "step-000008.png").is_file()
    assert not [warning for warning in noting.warnings if "expected -1" in warning]


def test_dcgan_digits_trains_on_the_digits_of_scikit_learn(registry: Registry, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is an optional extra")
    spec = load_spec("dcgan-digits", registry, ["model.width=8", "training.epochs=1"])
    result, _ = run(spec, device="cpu", out=tmp_path / "run")
    assert result.status == "completed"
    fid = next(score for score in result.metrics if score.id == "fid")
    assert fid.value is not None
    assert fid.real_data_score is not None
    assert fid.value > fid.real_data_score  # one epoch with narrow networks does not reach real images
