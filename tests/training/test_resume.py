"""Resumed runs equal uninterrupted ones."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import conftest
import linear_gan
import pytest
import torch
from callbacks import StopAt
from command_line import run_command
from PIL import Image
from reproducible import reproducible
from run_spec import run
from short_epochs import SMALL_FASHION, with_small_fashion

from ganbench import ImageData, PluginError, UsageError
from ganbench.errors import ExitCode, GanbenchWarning, MissingError, NotComparableError
from ganbench.plugin.callbacks import Callback, Progress
from ganbench.plugin.registry import Registry
from ganbench.results.run_directory import RunDirectory
from ganbench.results.schema import Environment, Result, load_result
from ganbench.runtime.checkpoint import Checkpoint, load_checkpoint
from ganbench.spec.loading import load_spec, load_stopped_spec
from ganbench.training.run_state import RunState
from ganbench_datasets.downloads import DownloadError
from ganbench_datasets.fashion_mnist import sources
from ganbench_datasets.fashion_mnist.sources import embedded_subset

QUICK = [
    *SMALL_FASHION,
    "training.batch_size=25",
    "metrics.0.at_epochs=[0, 2]",
    "sample_images.at_epochs=[2]",
]
THREE_EPOCHS = [*QUICK, "training.epochs=3"]  # of 20 steps
UNSCORED = [
    *SMALL_FASHION[:2],
    *("training.batch_size=25", "metrics=[]", "sample_images.real=0", "sample_images.generated=0"),
]
ONE_STEP = [*UNSCORED, "training.steps=1"]


def small_run(registry: Registry, out: Path, overrides: list[str], **more: Any) -> Result:
    spec = load_spec("dcgan-fashion", registry, overrides)
    return run(spec, device="cpu", out=out, window_seconds=1e-9, **more)[0]


def resumed(registry: Registry, directory: Path, *overrides: str, **more: Any) -> Result:
    spec = load_stopped_spec(directory, registry, overrides)
    return run(spec, device="cpu", resume=directory, window_seconds=1e-9, **more)[0]


class UnavailableDataset:
    """FashionMNIST where it is not stored and cannot be downloaded."""

    def load(self, source: str, data_dir: Path) -> ImageData:
        raise DownloadError("FashionMNIST", data_dir, OSError("no network"), "")

    def searched(self, data_dir: Path) -> str:
        return str(data_dir)


class DownloadedDataset:
    """A stand-in for the complete FashionMNIST, with other images than the embedded subset's training split."""

    def load(self, source: str, data_dir: Path) -> ImageData:
        return replace(embedded_subset(), train=embedded_subset().test, source="download")


class Uninterrupted(NamedTuple):
    """The uninterrupted run."""

    result: Result
    folder: Path


@pytest.fixture(scope="module")
def registry() -> Registry:
    return with_small_fashion()


@pytest.fixture(scope="module")
def uninterrupted(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Uninterrupted:
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    return Uninterrupted(small_run(registry, folder, THREE_EPOCHS), folder)


@pytest.fixture
def one_step(one_step_made: Path, tmp_path: Path) -> Path:
    """The directory of a run of one step, which a test may change."""
    return shutil.copytree(one_step_made, tmp_path / "run")


@pytest.fixture(scope="module")
def one_step_made(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one-step") / "run"
    small_run(registry, folder, ONE_STEP)
    return folder


@pytest.mark.parametrize("steps", [pytest.param((20,), marks=pytest.mark.slow), (39, 41), (1, 2, 3)])
def test_a_resumed_run_equals_an_uninterrupted_one(
    steps: tuple[int, ...], uninterrupted: Uninterrupted, registry: Registry, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    result = small_run(registry, out, THREE_EPOCHS, callback=StopAt(steps[0]))
    for step in steps[1:]:
        assert result.status == "interrupted"
        result = resumed(registry, out, callback=StopAt(step))
    assert result.status == "interrupted"
    resumed_result = resumed(registry, out)
    assert reproducible(resumed_result) == reproducible(uninterrupted.result)
    assert resumed_result.run_id == result.run_id
    assert resumed_result.created_at == result.created_at
    assert load_result(out) == resumed_result
    ended, alike = (load_checkpoint(folder / "checkpoint.pt").state for folder in (out, uninterrupted.folder))
    for player in ("generator", "discriminator"):
        torch.testing.assert_close(ended["networks"][player], alike["networks"][player], rtol=0, atol=0)
    torch.testing.assert_close(ended["rngs"]["latents"], alike["rngs"]["latents"])
    assert (
        sum(row.images for row in resumed_result.history)
        == sum(w.images for w in resumed_result.throughput.windows)
        == 1_500
    )


@pytest.mark.slow
@pytest.mark.parametrize("step", [0, 20])
def test_a_failed_run_resumes_from_its_last_checkpoint(
    step: int, uninterrupted: Uninterrupted, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Checkpoint.save

    def fill_the_disk(checkpoint: Checkpoint, path: Path) -> None:
        if checkpoint.progress.steps > step:
            raise OSError(28, "No space left on device")
        save(checkpoint, path)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", fill_the_disk)
        with pytest.raises(Exception, match=r"the run failed after .* No space left on device"):
            small_run(registry, tmp_path / "run", [*THREE_EPOCHS, "checkpoint.every_epochs=1"])
    assert load_result(tmp_path / "run").status == "failed"
    assert reproducible(resumed(registry, tmp_path / "run")) == reproducible(uninterrupted.result)


def test_checkpoints_are_saved_at_intervals_in_minutes(registry: Registry, tmp_path: Path) -> None:
    seen = []

    class Watch(Callback):
        def on_window_end(self, progress: Progress) -> None:
            seen.append((load_checkpoint(tmp_path / "run" / "checkpoint.pt").progress.steps, progress.step))

    small_run(
        registry, tmp_path / "run", [*UNSCORED, "training.steps=6", "checkpoint.every_minutes=0"], callback=Watch()
    )
    assert [step for step, _ in seen] == [0, *(step for _, step in seen[:-1])]


def test_a_completed_run_can_be_extended(uninterrupted: Uninterrupted, registry: Registry, tmp_path: Path) -> None:
    out = tmp_path / "run"
    small_run(registry, out, [*QUICK, "training.epochs=1"])
    with pytest.raises(UsageError, match="has already taken 20 steps, which is more than 10: --resume can only extend"):
        resumed(registry, out, "training.steps=10")
    assert reproducible(resumed(registry, out, "training.epochs=3")) == reproducible(uninterrupted.result)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (
            "{name='linear',start=1e-3}",
            r"from 5 to 10 steps, .* optimizer\.generator\.lr: 8e-06, now 0\.000504 after 124 images",
        ),
        ("{name='linear',start=1e-3,kimg=1}", None),
        ("{name='step',start=1e-3,every_kimg=0.1}", None),
    ],
)
def test_a_run_is_not_extended_if_its_schedules_depend_on_its_length(
    schedule: str, message: str | None, registry: Registry, tmp_path: Path
) -> None:
    own = [*UNSCORED, f"optimizer.generator.lr={schedule}"]
    small_run(registry, tmp_path / "run", [*own, "training.steps=5"])
    if message is not None:
        with pytest.raises(UsageError, match=message):
            resumed(registry, tmp_path / "run", "training.steps=10")
        assert load_result(tmp_path / "run").history[-1].images == 5 * 25
        return
    extended = resumed(registry, tmp_path / "run", "training.steps=10")
    assert reproducible(extended) == reproducible(small_run(registry, tmp_path / "whole", [*own, "training.steps=10"]))


ANNEALED = """
class Annealed(LeastSquares):
    def __init__(self, factor):
        self.factor = factor

build_loss = lambda options, context: Annealed({factor})
"""


@pytest.mark.parametrize(
    ("factor", "refused"),
    [
        ("(lambda share: lambda: share)(1 / context.total_steps)", True),
        ("lambda: 8 / context.total_images", True),
        ("lambda: 0.5", False),
    ],
    ids=["in build", "in a step", "never"],
)
def test_a_run_is_not_extended_if_a_plugin_used_its_length(factor: str, refused: bool, tmp_path: Path) -> None:
    source = ANNEALED.format(factor=factor)
    linear_gan.own_run(tmp_path, source, ["training.steps=3"])
    registry = linear_gan.plugin(tmp_path, source)
    assert resumed(registry, tmp_path / "run").status == "completed"
    if not refused:
        assert resumed(registry, tmp_path / "run", "training.steps=4").images == 4 * 8
        return
    with pytest.raises(UsageError, match=r"from 3 to 4 steps, .* loss .own. .* used the length of the run"):
        resumed(registry, tmp_path / "run", "training.steps=4")


@pytest.mark.parametrize("by", ["an error", "a signal"])
def test_a_resumed_run_that_ends_before_a_step_keeps_its_result(
    by: str, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_run(registry, tmp_path / "run", [*QUICK, "training.steps=2", "metrics.0.at_epochs=[]"])
    kept = load_result(tmp_path / "run")
    assert kept.scores["fid"] is not None

    def end(*arguments: Any) -> None:
        if by == "a signal":
            os.kill(os.getpid(), signal.SIGTERM)
        raise ValueError("no memory")

    with monkeypatch.context() as patched:
        patched.setattr("ganbench.training.loop.warm_up", end)
        if by == "a signal":
            assert resumed(registry, tmp_path / "run", "training.steps=4").status == "interrupted"
        else:
            message = r"the run failed after 2 steps: ValueError: no memory\. The result so far is in"
            with pytest.raises(PluginError, match=message):
                resumed(registry, tmp_path / "run", "training.steps=4")
    assert load_result(tmp_path / "run") == kept
    assert resumed(registry, tmp_path / "run").images == 4 * 25


def test_a_run_that_fails_again_at_the_same_step_stores_the_new_error(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = RunState.add

    def fail_after_step_2(cause: str) -> None:
        def failing(self: RunState, images: int) -> None:
            if self.steps == 2:
                raise ValueError(cause)
            add(self, images)

        monkeypatch.setattr(RunState, "add", failing)

    fail_after_step_2("the first")
    with pytest.raises(PluginError, match="the first"):
        small_run(registry, tmp_path / "run", [*UNSCORED, "training.steps=3"])
    fail_after_step_2("the second")
    with pytest.raises(PluginError, match="the second"):
        resumed(registry, tmp_path / "run")
    assert "the second" in str(load_result(tmp_path / "run").message)


@pytest.mark.slow
def test_a_run_that_was_killed_after_its_last_step_is_scored_and_stored(
    uninterrupted: Uninterrupted, registry: Registry, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    small_run(registry, out, THREE_EPOCHS)
    (out / "result.json").unlink()
    assert reproducible(resumed(registry, out)) == reproducible(uninterrupted.result)
    assert reproducible(resumed(registry, out)) == reproducible(uninterrupted.result)  # repeatable


def test_a_budget_includes_training_before_the_interruption(registry: Registry, tmp_path: Path) -> None:
    out = tmp_path / "run"
    small_run(registry, out, [*UNSCORED, "training.epochs=1000", "training.budget_seconds=0.05"])
    first = load_result(out).history
    images, spent = [sum(row.images for row in first)], sum(row.seconds for row in first)
    for budget in (0.05, spent + 0.1):  # a step may take longer than the budget
        result = resumed(registry, out, f"training.budget_seconds={budget}")
        assert result.status == "completed"
        images.append(sum(row.images for row in result.history))
    assert images[0] == images[1] < images[2]


def test_a_run_that_once_shared_its_machine_keeps_the_mark(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = []

    class Stop(StopAt):
        def on_window_end(self, progress: Progress) -> None:
            marks.append(progress.disturbed)
            super().on_window_end(progress)

    monkeypatch.setenv("GANBENCH_SHARED_WITH", "2 other runs")
    small_run(registry, tmp_path / "run", [*UNSCORED, "training.steps=4"], callback=Stop(2))
    assert set(marks) == {True}
    monkeypatch.delenv("GANBENCH_SHARED_WITH")
    assert "2 other runs" in (resumed(registry, tmp_path / "run").throughput.disturbed_by or "")


def test_a_changed_spec_is_refused_with_the_differences(registry: Registry, tmp_path: Path) -> None:
    out = tmp_path / "run"
    small_run(registry, out, THREE_EPOCHS, callback=StopAt(3))
    before = load_result(out)
    with pytest.raises(UsageError, match=r"model\.width: 2, now 9; optimizer\.generator\.lr: 0\.0001, now 0\.5"):
        resumed(registry, out, "model.width=9", "optimizer.generator.lr=0.5")
    assert load_result(out) == before


def test_data_that_moved_is_recognized_by_its_content(tmp_path: Path) -> None:
    registry, photos, moved = Registry.load(), tmp_path / "photos", tmp_path / "moved"
    photos.mkdir()
    for number, image in enumerate(embedded_subset().train.tensors[0][:40, 0].numpy()):
        Image.fromarray(image).save(photos / f"{number}.png")
    own = [*UNSCORED, "dataset=image-folder", f"dataset.path={photos}", "dataset.size=28", "dataset.channels=1"]
    small_run(registry, tmp_path / "run", [*own, "training.steps=2"])
    photos.rename(moved)
    assert resumed(registry, tmp_path / "run", f"dataset.path={moved}", "training.steps=3").status == "completed"
    with pytest.raises(UsageError, match=r"changed: dataset\.name: image-folder, now digits\. Start a new run"):
        resumed(registry, tmp_path / "run", "dataset=digits", "training.steps=4")
    (moved / "0.png").unlink()
    changed = r"data: \w{16} \(36 train images, source files\), now \w{16} \(35 train images, source files\)"
    with pytest.raises(NotComparableError, match=f"because conditions changed: {changed}. Restore them, or start"):
        resumed(registry, tmp_path / "run", "training.steps=4")


def test_a_run_whose_data_is_found_elsewhere_is_told_its_own_source(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the first day, the download failed, and the run was trained on the embedded subset."""
    monkeypatch.setattr(sources, "FULL", UnavailableDataset())
    small_run(registry, tmp_path / "run", [*ONE_STEP, "dataset={name='fashion-mnist'}"])
    monkeypatch.setattr(sources, "FULL", DownloadedDataset())
    then, now = (rf"\w{{16}} \({images}\)" for images in ("5,000 train images, source embedded", "1,000 .* download"))
    with pytest.raises(NotComparableError, match=f"data: {then}, now {now}") as raised:
        resumed(registry, tmp_path / "run", "training.steps=2")
    assert "Restore them (the data with -o dataset.source=embedded), or start a new run" in str(raised.value)
    assert resumed(registry, tmp_path / "run", "training.steps=2", "dataset.source=embedded").status == "completed"


def test_conditions_of_the_speed_that_change_are_all_recorded(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The speed is that of all processes, so it must not be compared with that of runs in one of the conditions."""
    out = tmp_path / "run"
    policies = iter(["active", "passive", "active"])
    monkeypatch.setattr("ganbench.training.conditions.wait_policy", lambda: next(policies))
    small_run(registry, out, THREE_EPOCHS, callback=StopAt(3))
    for step in (5, 7):
        result = resumed(registry, out, callback=StopAt(step))
    assert result.throughput.conditions["wait_policy"] == ["active", "passive"]
    assert result.throughput.conditions["precision"] == "fp32"


def test_changed_conditions_are_refused(registry: Registry, tmp_path: Path) -> None:
    """Other data, another device, or another version of a library or a plugin."""
    out = tmp_path / "run"
    small_run(registry, out, THREE_EPOCHS, callback=StopAt(3))
    checkpoint = load_checkpoint(out / "checkpoint.pt")
    then = checkpoint.progress
    elsewhere = Environment(
        must_match={**then.environment.must_match, "threads": 64},
        may_differ={**then.environment.may_differ, "torch": "0.1", "platform": "another kernel"},
    )
    loss = next(plugin for plugin in then.plugins if plugin.kind == "loss")
    older = [plugin if plugin != loss else loss.model_copy(update={"version": "0.0"}) for plugin in then.plugins]
    data = then.data.model_copy(update={"content_sha256": "0"})
    protocol, software = then.score_protocols["fid"], then.score_software["fid"]
    began = then.model_copy(
        update={
            "data": data,
            "environment": elsewhere,
            "plugins": older,
            "score_protocols": {"fid": {**protocol, "metric.features.state": "0"}},
            "score_software": {"fid": {**software, "timm": "0.1"}},
        }
    )
    replace(checkpoint, progress=began).save(out / "checkpoint.pt")
    with pytest.raises(NotComparableError, match="cannot resume, because conditions changed: ") as raised:
        resumed(registry, out)
    message = str(raised.value)
    assert all(
        part in message for part in ("threads: 64, now ", "torch: 0.1, now ", "loss bce: ganbench 0.0", "data: 0")
    )
    assert all(part in message for part in ("fid: metric.features.state: 0, now ", "timm: 0.1, now None"))
    assert "kernel" not in message


def test_a_run_that_stopped_before_its_first_checkpoint_starts_over(
    uninterrupted: Uninterrupted, registry: Registry, tmp_path: Path
) -> None:
    spec = load_spec("dcgan-fashion", registry, THREE_EPOCHS)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "spec.toml").write_text(spec.to_toml())
    (tmp_path / "run" / ".result.json.0123.part.json").write_text("{")
    images = tmp_path / "run" / ".images.0123abcd.part"  # of `ganbench sample`
    images.mkdir()
    (images / ".000000.png.0123.part.png").touch()
    assert reproducible(resumed(registry, tmp_path / "run")) == reproducible(uninterrupted.result)
    assert not list((tmp_path / "run").glob(".*.part*"))


def test_files_of_a_run_that_was_killed_early_do_not_prevent_a_new_run(registry: Registry, tmp_path: Path) -> None:
    out = tmp_path / "run"
    (out / "samples").mkdir(parents=True)
    (out / ".lock").touch()
    (out / ".spec.toml.0123abcd.part.toml").write_text("name")
    assert small_run(registry, out, ONE_STEP).status == "completed"


@pytest.mark.parametrize(
    "corrupt", [lambda content: content[: len(content) // 2], lambda _: b"", lambda _: b"PK\3\4rest"]
)
def test_a_corrupt_checkpoint_is_refused(corrupt: Any, one_step: Path, registry: Registry) -> None:
    file = one_step / "checkpoint.pt"
    file.write_bytes(corrupt(file.read_bytes()))
    with pytest.raises(UsageError, match=r"checkpoint .*checkpoint.pt: corrupt, or not written by ganbench"):
        resumed(registry, one_step, "training.steps=2")


def test_a_checkpoint_runs_no_code(one_step: Path, registry: Registry, tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "mark",)

    file = one_step / "checkpoint.pt"
    torch.save({**torch.load(file, weights_only=True), "state": Malicious()}, file)
    with pytest.raises(UsageError, match="corrupt, or not written by ganbench"):
        resumed(registry, one_step, "training.steps=2")
    assert not (tmp_path / "mark").exists()


def test_a_directory_in_use_is_refused(one_step: Path, registry: Registry) -> None:
    with RunDirectory.reopen(one_step).locked(), pytest.raises(UsageError, match="another run is writing to it"):
        resumed(registry, one_step, "training.steps=2")
    assert resumed(registry, one_step, "training.steps=2").status == "completed"


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_a_warning(
    number: int, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(descriptor: object, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    warning = re.escape(
        f"the file system does not support locks ({os.strerror(number)}); do not start a second run in it"
    )
    with pytest.warns(GanbenchWarning, match=warning):
        small_run(registry, tmp_path / "run", ONE_STEP)
    with pytest.warns(GanbenchWarning, match=warning):
        assert resumed(registry, tmp_path / "run", "training.steps=2").status == "completed"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "pass either BENCHMARK or --resume DIR"),
        (["run", "dcgan-fashion", "--resume", "x"], "pass either BENCHMARK or --resume DIR"),
        (["run", "--resume", "x", "--out", "y"], "--resume continues in the run's own directory"),
        (["run", "--resume", "x"], "--resume x: not a run directory (spec.toml not found)"),
    ],
)
def test_usage_errors(arguments: list[str], message: str) -> None:
    outcome = run_command(*arguments)
    assert outcome.exit_code == ExitCode.USAGE
    assert message in outcome.output


@pytest.mark.slow
def test_sigterm_ends_a_run_within_seconds_and_the_command_line_resumes_it(tmp_path: Path) -> None:
    long = [
        argument
        for override in [*conftest.SMALL, "metrics.0.num_samples=2000", "metrics.0.at_epochs=[]"]
        for argument in ("-o", override)
    ]
    command = [sys.executable, "-m", "ganbench", "run"]
    start = [*command, "dcgan-fashion", *long, "--epochs", "1000", "--out", "run", "--device", "cpu"]
    with subprocess.Popen(start, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        while "images/s" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=5)
    assert process.returncode == ExitCode.INTERRUPTED
    result = load_result(Path("run"))
    assert result.status == "interrupted"
    assert result.history[-1].images > 0
    steps = load_checkpoint(Path("run/checkpoint.pt")).progress.steps
    more = [*command, "--resume", "run", "--steps", str(steps + 3), "--device", "cpu"]
    subprocess.run(more, check=True, capture_output=True)
    resumed_result = load_result(Path("run"))
    assert resumed_result.status == "completed"
    assert sum(row.images for row in resumed_result.history) == sum(
        window.images for window in resumed_result.throughput.windows
    )


@pytest.mark.parametrize("name", ["result.json", "history.csv"])
def test_a_trained_run_without_its_checkpoint_is_not_started_over(
    name: str, one_step: Path, registry: Registry
) -> None:
    for other in {"checkpoint.pt", "result.json", "history.csv"} - {name}:
        (one_step / other).unlink()
    before = (one_step / name).read_text()
    with pytest.raises(MissingError, match=r"cannot resume, because checkpoint.pt is missing: restore it"):
        resumed(registry, one_step)
    assert (one_step / name).read_text() == before


def test_a_run_without_a_checkpoint_is_only_started_over_with_its_own_spec(registry: Registry, tmp_path: Path) -> None:
    spec = load_spec("dcgan-fashion", registry, THREE_EPOCHS)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "spec.toml").write_text(spec.to_toml())
    with pytest.raises(UsageError, match=r"--resume can only extend a run; changed: loss\.name: bce, now hinge"):
        resumed(registry, tmp_path / "run", "loss=hinge")
