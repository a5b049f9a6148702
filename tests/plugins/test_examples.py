"""The examples in docs/examples use only public names, and do what they document."""

from __future__ import annotations

import ast
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import UNSCORED
from run_spec import run

import ganbench
from ganbench import Registry, Result, UsageError
from ganbench.authoring.check import Conditions, check
from ganbench.plugin.registrations import Buildable
from ganbench.spec.loading import load_spec
from ganbench.spec.trackers import choose_trackers

FOLDER = Path(__file__).parents[2] / "docs" / "examples"
FID = 'metrics=[{name="fid",features="fashion-cnn",num_samples=100}]'
EXAMPLES = sorted(FOLDER.glob("*.py"))


@pytest.fixture
def example(tmp_path: Path) -> Any:
    def make(name: str, *overrides: str, track: tuple[str, ...] = ()) -> Result:
        registry = Registry.load([str(FOLDER / f"{name}.py")])
        spec = load_spec("dcgan-fashion", registry, [*UNSCORED, "training.steps=6", *overrides])
        trackers = choose_trackers(track, spec.name, registry)
        result, _ = run(spec, device="cpu", out=tmp_path / "run", trackers=trackers)
        assert result.status == "completed"
        return result

    return make


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_imports_only_public_names(file: Path) -> None:
    imported = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
    names = [alias.name for node in imported if node.module == "ganbench" for alias in node.names]
    assert names
    assert set(names) <= set(ganbench.__all__)
    assert not [node for node in imported if str(node.module).startswith("ganbench.")]


REQUIRED = {"features": "raw", "start": 1.0}  # values of options without a default


@pytest.mark.slow
@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_plugins_of_an_example_keep_every_rule(file: Path, tmp_path: Path) -> None:
    registry = Registry.load([str(file)])
    found = [each for each in registry.all_plugins() if each.provider.given == str(file)]
    assert found
    for registered in found:
        assert isinstance(registered.plugin, Buildable)
        fields = registered.plugin.options.model_fields
        options = {key: value for key, value in REQUIRED.items() if key in fields}
        for verdict in check(registered, Conditions(options, (1, 28, 28), tmp_path, {}), registry):
            assert verdict.failure is None, (registered, verdict)


def test_the_docs_list_every_example_with_its_lines() -> None:
    page = (FOLDER.parent / "plugins.md").read_text(encoding="utf-8")
    for file in EXAMPLES:
        lines = len(file.read_text(encoding="utf-8").splitlines())
        assert any(f"`{file.name}`" in row and row.endswith(f"| {lines} |") for row in page.splitlines()), file.name


def test_a_conditional_gan_has_sample_images_and_scores_by_class(example: Any, tmp_path: Path) -> None:
    metric = 'metrics=[{name="class-distances",features="fashion-cnn",num_samples=100}]'
    result = example("projection_gan", "model=projection-gan", "loss=hinge", metric, "sample_images.at_epochs=[0]")
    assert [value.id for value in result.metrics] == [f"class-distances.class-{number}" for number in range(10)]
    for value in result.metrics:
        assert value.real_data_score < value.value
    assert (tmp_path / "run" / "samples" / "epoch-0000.png").exists()


def test_wgan_gp_is_a_loss_a_penalty_and_five_updates(example: Any) -> None:
    documented = shlex.split((FOLDER / "wgan_gp.py").read_text(encoding="utf-8").split('"""')[1].partition("\n\n")[2])
    overrides = [word for before, word in pairwise(documented) if before == "-o"]
    assert len(overrides) == 5
    result = example("wgan_gp", *overrides)
    assert {tuple(result.spec["optimizer"][player]["betas"]) for player in ("generator", "discriminator")} == {(0, 0.9)}
    assert set(result.history[0].monitors) == {"critic_distance", "gradient-penalty"}
    assert result.history[0].images == 6 * 5 * 64


def test_an_augmentation_changes_training_but_not_real_data_scores(example: Any) -> None:
    result = example("color_augment", 'augmentations=["color"]', FID)
    assert result.metrics[0].value is not None


def test_two_metrics_share_features(example: Any) -> None:
    shared = 'features="fashion-cnn",num_samples=100'
    metrics = f'metrics=[{{name="moments",{shared}}},{{name="nearest",{shared}}}]'
    result = example("shared_features", metrics)
    assert [value.id for value in result.metrics] == ["moments.mean", "moments.std", "nearest"]
    for value in result.metrics:
        assert not value.higher_is_better
        assert value.real_data_score < value.value


def test_two_values_with_the_same_id_are_rejected(example: Any) -> None:
    shared = 'features="fashion-cnn",num_samples=100'
    metrics = f'metrics=[{{name="moments",{shared}}},{{name="nearest",id="moments.std",{shared}}}]'
    with pytest.raises(UsageError, match=r"two values have the id 'moments\.std'"):
        example("shared_features", metrics)


def test_a_schedule_is_followed(example: Any) -> None:
    lr = 'optimizer.generator.lr={name="warm-restarts",start=1e-3,kimg=0.1}'
    assert example("warm_restarts", lr).spec["optimizer"]["generator"]["lr"]["kimg"] == 0.1


def test_a_tracker_writes_tensorboard_files(example: Any, tmp_path: Path) -> None:
    example("tensorboard_scalars", track=("scalars", "tensorboard"))
    for folder in ("scalars", "tensorboard"):
        (events,) = (tmp_path / "run" / folder).glob("events.out.tfevents.*")
        assert events.stat().st_size > 100
