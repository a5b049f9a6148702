"""`ganbench eval`: images from files get exactly the scores that a run gives its own."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import run_command
from PIL import Image
from torch import Tensor
from torch.utils.data import TensorDataset
from trained_run import THREE_STEPS, make_run
from typer.testing import Result as Outcome

import ganbench
from ganbench.plugin.registry import Registry
from ganbench.results.schema import Result, load_result
from ganbench.runtime.rng import make_rng
from ganbench.scoring.real_data import REAL_DATA_SEED
from ganbench_datasets.fashion_mnist.sources import embedded_subset
from ganbench_features.fashion_cnn import FashionCNN

COUNT = 120
METRICS = [
    "name='fid'",
    "name='kid',subsets=3,subset_size=50",
    "name='precision-recall'",
    "name='density-coverage'",
]
COMMON = f"features='fashion-cnn',num_samples={COUNT},weights='ema',at_epochs=[]"
AVERAGE = "EMA, half-life linear (start 0.1, end 0.2) kimg, ramp 1"
EMBEDDED = "-o dataset.source=embedded"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    more = ["model.width=4", "training.steps=10", "optimizer.generator.lr=0.01"]
    more += ["ema.half_life_kimg={name='linear',start=0.1,end=0.2}", "ema.ramp=1"]
    scored = ",".join(f"{{{metric},{COMMON}}}" for metric in METRICS)
    make_run(Registry.load(), folder, [*THREE_STEPS, *more, f"metrics=[{scored}]"])
    return folder


def command(arguments: str, name: str = "eval") -> Outcome:
    return run_command(name, *shlex.split(arguments), columns=300)


def evaluated(arguments: str) -> Result:
    outcome = command(f"{arguments} --out scores.json")
    assert outcome.exit_code == 0, outcome.output
    return load_result(Path("scores.json"))


def values(result: Result) -> dict[str, float | None]:
    return {metric.id: metric.value for metric in result.metrics}


def save_pngs(images: Tensor, folder: Path, **options: Any) -> None:
    folder.mkdir(parents=True)
    for number, image in enumerate(images[:, 0].numpy()):
        Image.fromarray(image).save(folder / f"{number:05d}.png", **options)


# the same numbers


def test_a_run_its_directory_an_archive_and_a_folder_have_one_score(trained: Path) -> None:
    own = load_result(trained)
    for target in ("x.npz", "x"):
        assert command(f"{trained} -n {COUNT} --out {target}", "sample").exit_code == 0
    again = evaluated(str(trained))
    assert values(own) == values(again) == values(evaluated(f"x.npz --against {trained}"))
    assert values(own) == values(evaluated(f"x --against {trained}"))
    assert [metric.protocol for metric in again.metrics] == [metric.protocol for metric in own.metrics]
    assert [metric.real_data_score for metric in again.metrics] == [metric.real_data_score for metric in own.metrics]
    assert None not in values(own).values()


def test_real_images_from_files_get_the_scores_that_a_run_gives_real_data(trained: Path) -> None:
    """A run's score of real data and the score of the same images as files have the same value, to the last digit."""
    own = load_result(trained)
    train = embedded_subset().train.tensors[0]
    chosen = torch.randperm(len(train), generator=make_rng(REAL_DATA_SEED, "floor"))[:COUNT]
    save_pngs(train[chosen], Path("real"))
    result = evaluated(f"real --against {trained}")
    assert values(result) == {metric.id: metric.real_data_score for metric in own.metrics}


@pytest.mark.parametrize("form", ["NCHW", "NHWC", "gray", "rgb", "[-1, 1]", "[0, 1]", "float64"])
def test_an_array_has_one_score_in_any_form(form: str) -> None:
    images = embedded_subset().test.tensors[0][:40]
    floats = images.double() / 127.5 - 1
    forms: dict[str, Any] = {
        "NCHW": images,
        "NHWC": images.permute(0, 2, 3, 1),
        "gray": images[:, 0],
        "rgb": images.expand(-1, 3, -1, -1),
        "[-1, 1]": floats.float(),
        "[0, 1]": images.float() / 255,
        "float64": floats,
    }
    np.save("x.npy", forms[form].numpy())
    np.save("reference.npy", images.numpy())
    (metric,) = evaluated("x.npy --against reference.npy --metrics fid --features fashion-cnn").metrics
    assert metric.value == pytest.approx(0, abs=1e-9)
    quantization = {"[-1, 1]": "uint8, rounded", "float64": "uint8, rounded", "[0, 1]": "uint8, rounded from [0, 1]"}
    assert metric.protocol["quantization"] == quantization.get(form, "uint8, as given")


def test_all_metrics_of_an_extractor_share_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    np.save("x.npy", embedded_subset().train.tensors[0][:30].numpy())
    seen: list[int] = []
    forward = FashionCNN.forward
    monkeypatch.setattr(FashionCNN, "forward", lambda self, images: seen.append(len(images)) or forward(self, images))
    names = "fid,precision-recall,density-coverage"
    evaluated(f"x.npy --against fashion-mnist {EMBEDDED} --metrics {names} --features fashion-cnn")
    evaluated(f"x.npy --against fashion-mnist {EMBEDDED} --metrics {names} --features fashion-cnn")
    assert seen.count(30) <= 2  # the given images, and as many real ones; the second time, both are cached


# what is said


def test_other_data_than_the_run_had_is_warned_of(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The classes of the run's labels may be others now, for example."""
    assert "are not those of the run" not in command(str(trained)).stderr
    changed = embedded_subset()
    images, labels = changed.test.tensors
    changed = replace(changed, test=TensorDataset(images, 9 - labels))
    monkeypatch.setattr("ganbench_datasets.fashion_mnist.sources.embedded_subset", lambda: changed)
    outcome = command(f"{trained} --metrics fid --features raw -o metrics.0.features.size=2 -n 20")
    assert outcome.exit_code == 0, outcome.output
    message = f"{trained}: the images to compare with are not those of the run: dataset 'fashion-mnist' (from ganbench"
    assert message in outcome.stderr


@pytest.mark.parametrize("arguments", ["eval FOLDER", "eval x.npy --against FOLDER", "sample FOLDER --out x.npz"])
@pytest.mark.parametrize("place", ["runs", "runs/mine", "runs/suite/runs"])
def test_a_folder_of_runs_is_refused_with_the_name_of_one(trained: Path, place: str, arguments: str) -> None:
    np.save("x.npy", embedded_subset().test.tensors[0][:20].numpy())
    for run in (f"{place}/1", f"{place}/2"):
        Path(run).mkdir(parents=True)
        (Path(run) / "spec.toml").write_bytes((trained / "spec.toml").read_bytes())
    name, *rest = shlex.split(arguments.replace("FOLDER", "runs"))
    outcome = command(shlex.join(rest), name)
    message = f"error: runs: contains 2 runs; pass the directory of one, such as {Path(place, '2')}\n"
    assert (outcome.exit_code, outcome.stderr) == (2, message)


def test_a_run_that_diverged_is_warned_of_because_its_checkpoint_may_be_untrained(tmp_path: Path) -> None:
    own = ["optimizer.generator.lr=1e30", "optimizer.discriminator.lr=1e30", "training.epochs=1", "metrics=[]"]
    steps = [override for override in THREE_STEPS if not override.startswith("training.steps")]
    assert make_run(Registry.load(), tmp_path / "run", [*steps, *own]).status == "diverged"
    outcome = command("run -n 20 --metrics fid --features raw -o metrics.0.features.size=2 --json")
    (metric,) = json.loads(outcome.stdout)["metrics"]
    message = "run: the run diverged; its images are those of the checkpoint after step 0 of "
    assert [message in warning for warning in metric["warnings"]].count(True) == 1
    assert outcome.stderr.count(message) == 1
    assert "so the generator is untrained" in outcome.stderr


def test_scores_have_a_warning_if_the_model_may_not_generate_the_images_of_the_run() -> None:
    """Such scores may rank next to those of the run."""
    Path("own.py").write_text(COUNTING_MODEL)
    overrides = (THREE_STEPS[0], *THREE_STEPS[2:], "model=own", "metrics=[]")
    own = [item for override in overrides for item in ("-o", override)]
    started = run_command("run", "dcgan-fashion", *own, "-p", "own.py", "--out", "run")
    assert started.exit_code == 0, started.output
    Path("own.py").write_text(f"{COUNTING_MODEL}# changed\n")
    outcome = command("run -p own.py -n 20 --metrics fid --features raw -o metrics.0.features.size=2 --json")
    (metric,) = json.loads(outcome.stdout)["metrics"]
    for message in ("run: the model's code has changed since the run", "which is not restored; its images may differ"):
        assert [message in warning for warning in metric["warnings"]].count(True) == 1, metric["warnings"]
        assert outcome.stderr.count(message) == 1


COUNTING_MODEL = """
from torch import nn
from ganbench import ModelPlugin, Networks, hookimpl

class Counting(nn.Sequential):
    calls = 0

    def forward(self, latent):
        self.calls += 1
        return super().forward(latent)

def build(options, context):
    generator = Counting(nn.Linear(4, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))
    return Networks(generator, nn.Sequential(nn.Flatten(), nn.Linear(784, 1)), 4)

@hookimpl
def ganbench_models():
    return [ModelPlugin(name="own", summary="Linear", build=build)]
"""


def test_the_current_folder_has_its_name_in_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    save_pngs(embedded_subset().test.tensors[0][:20], Path("mine"))
    monkeypatch.chdir("mine")
    outcome = command(". --against . --metrics precision-recall --features raw -o metrics.0.features.size=2 --json")
    assert json.loads(outcome.stdout)["benchmark"] == "mine"


def test_a_metric_of_classes_is_refused_for_files_without_classes(tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text(METRIC_OF_CLASSES)
    np.save("x.npy", embedded_subset().test.tensors[0][:20].numpy())
    outcome = command("x.npy --against x.npy --metrics classes -p plugin.py")
    assert outcome.exit_code == 2
    assert "requires labels, but x.npy has no classes; use another metric or a dataset with labels" in outcome.stderr
    known = command(f"x.npy --against fashion-mnist {EMBEDDED} --metrics classes -p plugin.py")
    assert known.exit_code == 0, known.output


@pytest.mark.parametrize(("name", "kind"), [("emoji", "dataset"), ("dcgan-fashion", "benchmark")])
def test_a_name_that_is_also_a_path_is_refused_unless_it_is_clear_which_is_meant(name: str, kind: str) -> None:
    images = embedded_subset().test.tensors[0][:20]
    np.save("x.npy", images.numpy())
    save_pngs(images, Path(name))
    chosen = f"--metrics fid --features raw -o metrics.0.features.size=2 {EMBEDDED if kind == 'benchmark' else ''}"
    refused = command(f"x.npy --against {name} {chosen}")
    assert refused.exit_code == 2
    assert f"--against {name}: both the name of a {kind} and a path, " in refused.stderr
    assert f"write {name}@ganbench for the {kind}, or ./{name} for the path" in refused.stderr
    assert values(evaluated(f"x.npy --against ./{name} --metrics fid --features raw -o metrics.0.features.size=2"))
    if kind == "benchmark":
        assert evaluated(f"x.npy --against {name}@ganbench {chosen}").data.test_images > 20


@pytest.mark.parametrize("against", ["place/run", "place/run/spec.toml"])
def test_the_plugins_of_the_run_to_compare_with_are_loaded(against: str) -> None:
    Path("place").mkdir()
    Path("place/plugin.py").write_text(METRIC_OF_CLASSES)
    arguments = [item for override in THREE_STEPS for item in ("-o", override)]
    own = ["-p", "place/plugin.py", "-o", "metrics=[{name='classes',num_samples=20}]", "--out", "place/run"]
    started = run_command("run", "dcgan-fashion", *arguments, *own)
    assert started.exit_code == 0, started.output
    np.save("x.npy", embedded_subset().train.tensors[0][:20].numpy())
    assert values(evaluated(f"x.npy --against {against}")) == {"classes": 10}
    assert ganbench.evaluate("x.npy", against=against).scores == {"classes": 10}
    assert values(evaluated(f"place/run --against {against}")) == {"classes": 10}
    assert "continuing without" not in run_command("eval", "place/run", "--against", against).output


def test_the_dataset_of_a_run_is_read_from_its_data_folder_and_other_data_is_warned_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("saved.py").write_text(SAVED_DATASET)
    Path("data").mkdir()
    images = embedded_subset().train.tensors[0]
    np.save("data/images.npy", images[:60].numpy())
    np.save("x.npy", images[60:80].numpy())
    own = [item for override in (*THREE_STEPS[1:], "dataset=saved", "metrics=[]") for item in ("-o", override)]
    started = run_command("run", "dcgan-fashion", *own, "-p", "saved.py", "--data-dir", "data", "--out", "run")
    assert started.exit_code == 0, started.output
    arguments = "x.npy --against run -n 20 --metrics fid --features raw -o metrics.0.features.size=2"
    Path("other").mkdir()
    monkeypatch.setenv("GANBENCH_DATA", "other")  # as on a resume, the folder of the run wins
    outcome = command(arguments)
    assert outcome.exit_code == 0, outcome.output
    assert "are not those of the run" not in outcome.stderr
    np.save("data/images.npy", images[1:61].numpy())
    message = "run: the images to compare with are not those of the run: dataset 'saved' (from saved.py"
    assert message in command(arguments).stderr
    assert message in command(arguments.replace("x.npy", "run")).stderr
    Path("run/result.json").unlink()  # as if the run had been killed
    assert message in command(arguments).stderr


@pytest.mark.parametrize("against", ["run", "run/spec.toml"])
def test_the_dataset_to_compare_with_is_built_with_the_seed_of_its_run(against: str) -> None:
    Path("saved.py").write_text(SAVED_DATASET.replace("    images =", "    assert context.seed == 7\n    images ="))
    Path("data").mkdir()
    images = embedded_subset().train.tensors[0]
    np.save("data/images.npy", images[:60].numpy())
    np.save("x.npy", images[60:80].numpy())
    own = [item for override in (*THREE_STEPS[1:], "metrics=[]") for item in ("-o", override)]
    seeded = ["-o", "dataset=saved", "-p", "saved.py", "--seed", "7", "--data-dir", "data", "--out", "run"]
    for arguments in ([*seeded], ["-o", "dataset.source=embedded", "--out", "other"]):
        started = run_command("run", "dcgan-fashion", *own, *arguments)
        assert started.exit_code == 0, started.output
    chosen = "fid --features raw -o metrics.0.features.size=2 -p saved.py --data-dir data"
    for arguments in (
        f"eval x.npy --against {against} -n 20 --metrics {chosen}",
        f"eval other --against {against} -n 20 --metrics {chosen}",
        f"audit --on {against} -n 4 --draws 2 {chosen}",
    ):
        outcome = run_command(*shlex.split(arguments))
        assert outcome.exit_code == 0, outcome.output


SAVED_DATASET = """
import hashlib

import numpy as np
import torch
from torch.utils.data import TensorDataset

from ganbench import DatasetPlugin, ImageData, hookimpl

def build(options, context):
    images = torch.from_numpy(np.load(context.data_dir / "images.npy"))
    train, test = (TensorDataset(half, torch.zeros(len(half), dtype=torch.int64)) for half in images.tensor_split(2))
    fingerprint = hashlib.sha256(images.numpy().tobytes()).hexdigest()
    return ImageData(train, test, num_classes=1, source="saved", fingerprint=fingerprint)

@hookimpl
def ganbench_datasets():
    return [DatasetPlugin(name="saved", summary="Saved images", build=build)]
"""


METRIC_OF_CLASSES = """
from ganbench import MetricPlugin, hookimpl

class Classes:
    label, higher_is_better, protocol, uses_real_labels = "classes", True, {}, True

    def fit(self, reference):
        self.classes = len(reference.labels.unique())

    def update(self, images):
        pass

    def compute(self):
        return self.classes

@hookimpl
def ganbench_metrics():
    return [MetricPlugin(name="classes", summary="Number of classes", build=lambda options, context: Classes())]
"""


def test_the_result_is_one_that_compare_takes(trained: Path) -> None:
    evaluated(str(trained))
    outcome = command(f"scores.json {trained}", "compare")
    assert outcome.exit_code == 0, outcome.output
    assert "not ranked" not in outcome.stdout.partition("FID")[2]
    result = json.loads(command(f"{trained} --json").stdout)
    assert result["benchmark"] == "dcgan-fashion"
    assert result["message"] == "evaluation only"


def test_the_result_of_a_training_run_is_not_overwritten(trained: Path) -> None:
    before = (trained / "result.json").read_text()
    outcome = command(f"{trained} --out {trained / 'result.json'}")
    assert (outcome.exit_code, "is the result of a training run" in outcome.stderr) == (2, True), outcome.output
    assert (trained / "result.json").read_text() == before


def test_the_scores_of_files_are_not_ranked_with_those_of_a_run(trained: Path) -> None:
    np.save("x.npy", embedded_subset().train.tensors[0][:COUNT].numpy())
    evaluated(f"x.npy --against {trained}")
    outcome = command(f"scores.json {trained}", "compare")
    assert "not ranked: quantization, compression, weights, batch_norm differ" in outcome.stdout


def test_weights_mode_number_and_seed_of_a_run_are_chosen_and_in_the_protocol(trained: Path) -> None:
    raw = evaluated(f"{trained} --metrics fid --features fashion-cnn -n 50 --weights raw --mode train").metrics[0]
    assert (raw.protocol["weights"], raw.protocol["batch_norm"]) == ("raw", "batches of 20")
    assert raw.protocol["generated_samples"] == 50
    more = evaluated(
        f"{trained} --metrics fid --features fashion-cnn -n 50 -o metrics.1=kid -o metrics.1.features=raw "
        "-o metrics.1.subset_size=10"
    ).metrics
    assert [metric.protocol["generated_samples"] for metric in more] == [50, 50, 50]
    average = evaluated(f"{trained} --metrics fid --features fashion-cnn -n 50").metrics[0]
    assert average.protocol["weights"].startswith("EMA")
    assert evaluated(f"{trained} --metrics fid --features fashion-cnn -n 50 --seed 1").metrics[0].value != average.value


ADDED = "{name='kid',features='raw',subset_size=10}"


@pytest.mark.parametrize("added", [f"metrics.1={ADDED}", f"metrics=[{ADDED},{ADDED}]"])
@pytest.mark.parametrize(
    ("flags", "weights", "mode"),
    [
        ("--weights raw --mode train", "raw", "batches of 20"),
        ("--weights ema", AVERAGE, "running statistics"),
        ("", AVERAGE, "running statistics"),
    ],
)
def test_weights_and_mode_hold_for_metrics_that_an_override_adds(
    trained: Path, added: str, flags: str, weights: str, mode: str
) -> None:
    metrics = evaluated(f'{trained} --metrics fid --features raw -n 20 {flags} -o "{added}"').metrics
    protocols = [(metric.protocol["weights"], metric.protocol["batch_norm"]) for metric in metrics]
    assert protocols == [(weights, mode)] * len(metrics)
    assert len(metrics) > 1


@pytest.mark.parametrize(
    ("flag", "override", "message"),
    [
        (
            "--weights raw",
            "metrics.0.weights=ema",
            "-o cannot set weights of a metric here: --weights sets those of all",
        ),
        ("--mode eval", "metrics.1.generator_mode=train", "generator_mode of a metric here: --mode sets that of all"),
    ],
)
def test_an_override_that_contradicts_the_weights_or_the_mode_of_all_metrics_is_refused(
    trained: Path, flag: str, override: str, message: str
) -> None:
    outcome = command(f"{trained} {flag} -o {override}")
    assert (outcome.exit_code, message in outcome.stderr) == (2, True), outcome.output


def test_an_added_metric_keeps_its_own_weights_and_has_the_extractor_of_all(trained: Path) -> None:
    arguments = "--metrics fid --features raw -n 20 -o metrics.1=precision-recall -o metrics.1.weights=raw"
    first, *added = evaluated(f"{trained} {arguments} -o metrics.0.features.size=2").metrics
    assert [metric.protocol["weights"] for metric in added] == ["raw"] * len(added)
    assert first.protocol["weights"].startswith("EMA")
    assert {metric.protocol["extractor"] for metric in (first, *added)} == {"raw"}


def test_what_moves_scores_is_warned_of_and_in_the_protocol() -> None:
    images = embedded_subset().test.tensors[0][:20]
    for suffix, folder in ((".jpg", "lossy"), (".png", "lossless")):
        Path(folder, "deeper").mkdir(parents=True)
        for number, image in enumerate(torch.cat([images, images[:2]])[:, 0].numpy()):
            place = Path(folder) / ("deeper" if number % 2 else "") / f"{number}{suffix}"
            Image.fromarray(image).save(place)
    arguments = f"--against fashion-mnist {EMBEDDED} --metrics fid --features raw -o metrics.0.features.size=2"
    (lossy,) = evaluated(f"lossy {arguments}").metrics
    (lossless,) = evaluated(f"lossless {arguments}").metrics
    assert lossy.protocol["compression"] == "JPEG, which may lose information"
    assert lossless.protocol["compression"] == "none or lossless"
    assert lossy.value != lossless.value
    assert any("22 of 22 files are JPEG, whose compression changes scores" in warning for warning in lossy.warnings)
    *others, copies = lossless.warnings
    assert others == [
        "lossless: 2 of 22 images are exact copies of others",
        "lossless: 22 images instead of 10,000; some scores, such as a Fréchet distance, get worse with fewer images, "
        "so compare only scores of equally many images",
    ]
    assert copies.startswith("lossless: 22 of 22 images are exact copies of images of dataset 'fashion-mnist'")
    assert not any("copies of images of" in warning for warning in lossy.warnings)


def test_gray_images_against_color_ones_are_repeated_and_warned_of() -> None:
    images = embedded_subset().test.tensors[0][:20]
    save_pngs(images, Path("gray"))
    color = images.expand(-1, 3, -1, -1).clone()
    color[:, 0] //= 2
    np.save("color.npy", color.numpy())
    outcome = command("gray --against color.npy --metrics fid --features raw -o metrics.0.features.size=2 --json")
    (metric,) = json.loads(outcome.stdout)["metrics"]
    assert metric["protocol"]["channels"] == "gray, repeated to three"
    assert "gray images are compared with color ones" in outcome.stderr
    back = command("color.npy --against gray --metrics fid --features raw")
    assert back.exit_code == 2
    assert "its images are color, but those to compare with are gray" in back.stderr


@pytest.mark.parametrize("scored", [1, 3])
def test_gray_images_to_compare_with_are_gray_also_if_they_have_three_channels(scored: int) -> None:
    images = embedded_subset().test.tensors[0]
    np.save("x.npy", images[:20].expand(-1, scored, -1, -1).numpy())
    np.save("reference.npy", images[20:60].expand(-1, 3, -1, -1).numpy())
    outcome = command("x.npy --against reference.npy --metrics precision-recall --features fashion-cnn --json")
    assert outcome.exit_code == 0, outcome.output
    assert "channels" not in json.loads(outcome.stdout)["metrics"][0]["protocol"]
    assert "missing colors" not in outcome.stderr


@pytest.mark.parametrize("reference", ["gray", "color"])
def test_images_with_three_channels_are_compared_as_such_also_if_some_are_gray(reference: str) -> None:
    """Gray X-rays in three channels; generators of which some tint pixels, and others have collapsed to gray."""
    gray = embedded_subset().test.tensors[0].expand(-1, 3, -1, -1)
    tinted = gray.clone()
    tinted[3, 0, 14, 14] ^= 1
    Path("tinted").mkdir()
    for number, image in enumerate(tinted[:20].permute(0, 2, 3, 1).numpy()):
        Image.fromarray(image).save(f"tinted/{number}.png")
    np.save("gray.npy", gray[:20].numpy())
    against = {"gray": gray[20:60], "color": tinted[:40].roll(1, 0)}[reference]
    np.save("reference.npy", against.numpy())
    protocols = []
    for scored in ("tinted", *(["gray.npy"] if reference == "color" else [])):
        arguments = "--against reference.npy --metrics fid --features raw -o metrics.0.features.size=2 --json"
        outcome = command(f"{scored} {arguments}")
        assert outcome.exit_code == 0, outcome.output
        assert "missing colors" not in outcome.stderr
        protocols.append(json.loads(outcome.stdout)["metrics"][0]["protocol"])
    assert protocols == [protocols[0]] * len(protocols)
    assert "channels" not in protocols[0]
