"""A run directory alone gives back the trained model, which generates exactly the images that were scored."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from conditional_gan import CONDITIONAL, SOURCE
from registries import with_plugins
from torch import nn
from trained_run import THREE_STEPS, make_run, number_of, scored, trained_run, with_hash

import ganbench
from ganbench import MissingError, UsageError
from ganbench.errors import GanbenchWarning, NotComparableError
from ganbench.plugin.registry import Registry
from ganbench.results.schema import Result
from ganbench.scoring.trained import TrainedRun, open_run
from ganbench.spec.configs import GeneratorMode, Weights

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    return trained_run(tmp_path_factory.mktemp("trained"))


def registry_without(*names: str) -> Registry:
    """Return the installed plugins without those of these names."""
    return with_plugins(Registry.load(), without=names)


def reopened(folder: Path) -> TrainedRun:
    return open_run(folder, Registry.load(), CPU)


@pytest.mark.parametrize(
    ("number", "count", "weights", "mode"), [(0, 70, "raw", "eval"), (1, 33, "ema", "eval"), (2, 50, "raw", "train")]
)
def test_it_generates_exactly_the_images_that_were_scored(
    trained: tuple[Path, Result], number: int, count: int, weights: Weights, mode: GeneratorMode
) -> None:
    folder, result = trained
    images, labels = reopened(folder).sample(count, weights=weights, mode=mode)
    assert images.shape == (count, 1, 28, 28)
    assert labels is None
    assert number_of(images) == result.metrics[number].value


def test_the_first_images_do_not_depend_on_their_number_and_others_have_another_seed(
    trained: tuple[Path, Result],
) -> None:
    opened = reopened(trained[0])
    assert torch.equal(opened.sample(70)[0][:7], opened.sample(7)[0])
    assert not torch.equal(opened.sample(7)[0], opened.sample(7, seed=1)[0])


def test_the_moving_average_is_the_default_if_there_is_one(
    trained: tuple[Path, Result], registry: Registry, tmp_path: Path
) -> None:
    opened = reopened(trained[0])
    assert torch.equal(opened.sample(5)[0], opened.sample(5, weights="ema")[0])
    assert not torch.equal(opened.sample(5)[0], opened.sample(5, weights="raw")[0])
    assert opened.generator is opened.average
    make_run(registry, tmp_path / "raw", [*THREE_STEPS, "metrics=[]"])
    raw = reopened(tmp_path / "raw")
    assert raw.generator is raw.networks.generator
    with pytest.raises(UsageError, match="has no moving average of the weights; use the raw weights"):
        raw.sample(5, weights="ema")


def test_a_conditional_model_samples_labels_by_the_class_frequencies_without_its_dataset(
    install: Callable[..., Path], tmp_path: Path
) -> None:
    install("ganbench-conditional", SOURCE)
    own = [override for override in CONDITIONAL if not override.startswith("metrics")]
    result = make_run(with_hash(Registry.load()), tmp_path / "run", [*own, f"metrics=[{scored(40)}]"])
    assert result.data.label_counts is not None
    opened = open_run(tmp_path / "run", registry_without("few", "hinge-test"), CPU)  # only the model is needed
    images, labels = opened.sample(40)
    assert number_of(images) == result.metrics[0].value
    assert labels is not None
    assert {label for label, count in enumerate(result.data.label_counts) if count} >= set(labels.tolist())
    with pytest.raises(UsageError, match="run: no classes given; choose from 0 to 9, or omit them"):
        opened.sample(4, classes=[])


def test_a_model_that_is_not_installed_is_named_with_its_distribution_version_and_hash(
    trained: tuple[Path, Result],
) -> None:
    folder, result = trained
    (model,) = (plugin for plugin in result.plugins if plugin.kind == "model")
    with pytest.raises(MissingError) as raised:
        open_run(folder, registry_without("dcgan"), CPU)
    message = str(raised.value)
    assert f"model 'dcgan' is not installed. The run used {model}" in message
    assert all(part in message for part in (model.distribution, str(model.version), str(model.source)))


def test_of_the_plugins_of_a_run_only_the_model_is_needed(tmp_path: Path) -> None:
    schedules = ["ema.half_life_kimg={name='cosine',start=0.1}", "optimizer.generator.lr={name='cosine',start=0.01}"]
    folder, result = trained_run(tmp_path, *schedules)
    others = [plugin.name for plugin in result.plugins if plugin.kind != "model"]
    assert "cosine" in others
    images, _ = open_run(folder, registry_without(*others), CPU).sample(33)
    assert number_of(images) == result.metrics[1].value


OWN_MODEL = dedent(
    """
    from torch import nn
    from ganbench import ModelPlugin, Networks, hookimpl
    @hookimpl
    def ganbench_models():
        def build(options, context):
            generator = nn.Sequential(nn.Linear(4, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))
            return Networks(generator, nn.Sequential(nn.Flatten(), nn.Linear(784, 1)), 4)
        return [ModelPlugin(name="own", summary="Linear", build=build)]
    """
)


def test_changed_code_is_reported_and_weights_that_do_not_fit_are_refused(
    install: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [override for override in THREE_STEPS if not override.startswith("model")]
    first = tmp_path / "own.py"
    first.write_text(OWN_MODEL)
    make_run(Registry.load([str(first)]), tmp_path / "run", [*overrides, "metrics=[]", "model=own"])
    first.write_text(first.read_text() + "# changed\n")
    with pytest.warns(GanbenchWarning, match="the model's code has changed since the run"):
        open_run(tmp_path / "run", Registry.load([str(first)]), CPU)
    first.write_text(first.read_text().replace("nn.Linear(4, 784)", "nn.Linear(4, 784, bias=False)"))
    with (
        pytest.warns(GanbenchWarning),
        pytest.raises(NotComparableError, match=r"the weights do not fit .*own\.py sha256:"),
    ):
        open_run(tmp_path / "run", Registry.load([str(first)]), CPU)


def test_a_model_that_was_edited_after_the_run_of_the_same_process_is_that_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "own_module.py"
    module.write_text(OWN_MODEL)
    overrides = [override for override in THREE_STEPS if not override.startswith("model")]
    make_run(Registry.load(["own_module"]), tmp_path / "run", [*overrides, "metrics=[]", "model=own"])
    module.write_text(module.read_text() + "# changed\n")
    with pytest.warns(GanbenchWarning, match=r"may differ from those of the run: .*own_module.py was edited after"):
        trained = open_run(tmp_path / "run", Registry.load(["own_module"]), CPU)
    assert len(trained.sample(2)[0]) == 2


def test_what_is_no_run_directory_or_has_a_checkpoint_cut_short_is_one_paragraph(
    trained: tuple[Path, Result], registry: Registry, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="not a run directory"):
        open_run(tmp_path, registry, CPU)
    shutil.copytree(trained[0], tmp_path / "run")
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    for length in (0, 100, checkpoint.stat().st_size // 2):
        checkpoint.write_bytes((trained[0] / "checkpoint.pt").read_bytes()[:length])
        with pytest.raises(UsageError, match=r"checkpoint.pt: corrupt, or not written by ganbench: ") as raised:
            open_run(tmp_path / "run", registry, CPU)
        assert "\n" not in str(raised.value)


def with_status(folder: Path, status: str) -> None:
    file = folder / "result.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "status": status}))


def extended_and_killed(folder: Path) -> None:
    """The result is that of the run before it was extended, and the checkpoint is a later one."""
    make_run(Registry.load(), folder / "longer", [*THREE_STEPS, "training.steps=4", "metrics=[]"])
    shutil.move(folder / "longer" / "checkpoint.pt", folder / "checkpoint.pt")


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (lambda folder: (folder / "result.json").unlink(), "was killed or is still running"),
        (lambda folder: with_status(folder, "interrupted"), "was interrupted"),
        (lambda folder: with_status(folder, "diverged"), "diverged"),
        (lambda folder: with_status(folder, "failed"), "failed"),
        (lambda folder: with_status(folder, "x"), r"may not be complete \(result .*: status: .*\)"),
        (extended_and_killed, "was killed or is still running"),
    ],
)
def test_a_run_that_is_not_complete_is_warned_of_with_the_step_of_its_checkpoint(
    trained: tuple[Path, Result], tmp_path: Path, change: Callable[[Path], None], outcome: str
) -> None:
    shutil.copytree(trained[0], tmp_path / "run")
    change(tmp_path / "run")
    with pytest.warns(GanbenchWarning, match=rf"run: the run {outcome}; its images .* after step (3 of 3|4 of 4)$"):
        ganbench.load(tmp_path / "run", device="cpu").sample(2)


def test_a_run_that_ended_by_its_budget_is_complete(registry: Registry, tmp_path: Path) -> None:
    result = make_run(registry, tmp_path / "run", [*THREE_STEPS, "metrics=[]", "training.budget_seconds=1e-9"])
    assert "the budget of 1e-09 s was used up after step 1" in str(result.message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reopened(tmp_path / "run").progress.steps == 1


def test_the_networks_are_those_of_the_run(trained: tuple[Path, Result]) -> None:
    opened = reopened(trained[0])
    assert isinstance(opened.generator, nn.Module)
    assert opened.progress.data.data_shape == (1, 28, 28)
    assert opened.progress.data.num_classes == 10
    assert opened.progress.steps == 3
