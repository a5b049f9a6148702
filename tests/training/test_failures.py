"""Runs that fail or diverge, because of a plugin, the settings, the data or a full disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit
from typing import Any

import pytest
from short_epochs import with_small_fashion
from small_run import small_run

from ganbench import GanbenchError, PluginError, UsageError
from ganbench.plugin.callbacks import Callback
from ganbench.plugin.registry import Registry
from ganbench.results.schema import load_result
from ganbench.runtime.checkpoint import load_checkpoint
from ganbench.system import files
from ganbench_datasets.fashion_mnist import sources


@pytest.fixture(scope="module")
def registry() -> Registry:
    return with_small_fashion()


@pytest.mark.parametrize("drawing", ["save_losses", "save_grid"])
def test_a_sample_image_that_cannot_be_written_is_a_warning(
    drawing: str, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned = []

    class Watch(Callback):
        def on_warning(self, what: str) -> None:
            warned.append(what)

    def fail(*arguments: Any, **more: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"ganbench.reporting.plots.{drawing}", fail)
    result, directory = small_run(registry, tmp_path / "run", ["training.steps=1"], callback=Watch())
    assert result.status == "completed"
    assert load_result(directory.path) == result
    assert all((directory.path / name).exists() for name in result.artifacts.values())
    missing = ["losses.png"] if drawing == "save_losses" else ["samples/real.png", "samples/step-000001.png"]
    lost = [text.partition(" could not be written: OSError: [Errno 28]") for text in warned]
    assert [name for name, reason, _ in lost if reason] == missing


def test_a_result_that_cannot_be_written_is_a_clear_failure(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text = files.write_text

    def fill_the_disk(target: Path, text: str) -> None:
        if target.name == "result.json":
            raise OSError(28, "No space left on device")
        write_text(target, text)

    monkeypatch.setattr("ganbench.results.run_directory.write_text", fill_the_disk)
    with pytest.raises(GanbenchError, match=r"^cannot write .*result\.json: No space left on device$"):
        small_run(registry, tmp_path / "run", ["training.steps=1"])


@pytest.mark.parametrize("file_bytes", [200, 2000, 60_000])
def test_a_checkpoint_that_cannot_be_written_is_a_clear_failure(
    file_bytes: int, registry: Registry, tmp_path: Path
) -> None:
    (_, one_step), soft_and_hard = small_run(registry, tmp_path / "run", ["training.steps=1"]), getrlimit(RLIMIT_FSIZE)
    file = one_step.path / "checkpoint.pt"
    checkpoint, content = load_checkpoint(file), file.read_bytes()
    setrlimit(RLIMIT_FSIZE, (file_bytes, soft_and_hard[1]))
    try:
        with pytest.raises(GanbenchError, match=r"^cannot write .*checkpoint\.pt: File too large$"):
            checkpoint.save(file)
    finally:
        setrlimit(RLIMIT_FSIZE, soft_and_hard)
    assert file.read_bytes() == content
    assert not list(one_step.path.glob(".checkpoint*"))


def test_a_diverged_run_names_step_and_network(registry: Registry, tmp_path: Path) -> None:
    result, directory = small_run(
        registry,
        tmp_path / "run",
        ["optimizer.generator.lr=1e30", "optimizer.discriminator.lr=1e30", "training.steps=40"],
    )
    assert result.status == "diverged"
    assert "'s loss is nan at step" in str(result.message)
    assert result.history[-1].images > 0
    assert load_result(directory.path) == result


FAILS_AT_STEP_50 = """
from ganbench import LossPlugin, hookimpl

class Failing:
    calls = 0

    def state_dict(self):
        return {"calls": self.calls}

    def load_state_dict(self, state):
        self.calls = state["calls"]

    def discriminator_loss(self, players, batch):
        self.calls += 1
        if self.calls == 50:
            raise RuntimeError("out of luck")
        return players.discriminate(batch.real).mean(), {}
    def generator_loss(self, players, batch):
        return players.generate(batch).mean(), {}

@hookimpl
def ganbench_losses():
    return [LossPlugin(name="failing", summary="Fails", build=lambda options, context: Failing())]
"""


def test_a_plugin_that_raises_in_training_leaves_a_failed_result(tmp_path: Path) -> None:
    plugin = tmp_path / "failing.py"
    plugin.write_text(FAILS_AT_STEP_50)
    registry = with_small_fashion(plugin)
    with pytest.raises(
        PluginError,
        match=r"after 49 steps: loss 'failing' \(from .*failing.py.*\) raised in discriminator_loss: .* out of luck",
    ):
        small_run(registry, tmp_path / "run", ["loss=failing"])
    result = load_result(tmp_path / "run")
    assert result.status == "failed"
    assert "out of luck" in str(result.message)


def test_state_that_cannot_be_saved_is_reported_before_training(tmp_path: Path) -> None:
    plugin = tmp_path / "failing.py"
    plugin.write_text(FAILS_AT_STEP_50.replace('{"calls": self.calls}', '{"calls": self.calls, "own": type(self)}'))
    registry = with_small_fashion(plugin)
    with pytest.raises(PluginError, match=r"failed after 0 steps: the state of a plugin .* may contain only tensors"):
        small_run(registry, tmp_path / "run", ["loss=failing"])


HOARDING = """
from torch.optim import SGD
from ganbench import OptimizerPlugin, hookimpl

class Hoarding(SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["own"] = range  # not a tensor, number or text
        return super().step(closure)

@hookimpl
def ganbench_optimizers():
    build = lambda options, context: lambda parameters: Hoarding(parameters, lr=1e-3)
    return [OptimizerPlugin(name="hoarding", summary="Keeps a class", build=build)]
"""


def test_optimizer_state_that_cannot_be_saved_is_reported_at_the_first_checkpoint_with_state(tmp_path: Path) -> None:
    (tmp_path / "hoarding.py").write_text(HOARDING)
    registry = with_small_fashion(tmp_path / "hoarding.py")
    own = ["optimizer.generator=hoarding", "training.steps=3"]
    with pytest.raises(PluginError, match=r"failed after 3 steps: the state of a plugin .* may contain only tensors"):
        small_run(registry, tmp_path / "run", own)


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        (["training.batch_size=501"], "training.batch_size: 501 is more than the 500 images"),
        (["dataset=fashion-mnist", "dataset.source=files"], "not all files found in"),
    ],
)
def test_an_error_before_training_leaves_nothing(
    overrides: list[str], fault: str, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "FULL", replace(sources.FULL, debian_folder=tmp_path / "nowhere"))
    with pytest.raises(GanbenchError, match=fault):
        small_run(registry, tmp_path / "run", overrides)
    assert not (tmp_path / "run").exists()


def test_a_run_does_not_write_into_a_folder_in_use(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("precious")
    with pytest.raises(UsageError, match="not empty"):
        small_run(registry, tmp_path / "run", ["training.steps=1"])
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]
