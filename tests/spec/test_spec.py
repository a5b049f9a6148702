"""A benchmark's spec: the homework's values, TOML round trips, overrides, and errors that name the field."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest

from ganbench import UsageError
from ganbench.api.spec import resolve_spec
from ganbench.plugin.registry import Registry
from ganbench.spec.benchmark import BenchmarkSpec
from ganbench.spec.json_schema import spec_schema
from ganbench.spec.loading import load_spec

Install = Callable[..., Path]
Load = Callable[..., BenchmarkSpec]

ADAM = {"name": "adam", "lr": 1e-4, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0}
DCGAN = {"name": "dcgan", "width": 64, "latent_dim": 100, "negative_slope": 0.3, "dropout": 0.3}

TINY = """
from pydantic import Field
from ganbench import DatasetPlugin, MetricPlugin, ModelPlugin, Options, hookimpl

class Tiny(Options):
    depth: int = Field(2, ge=1, description="layers")

class Clothes(Options):
    split: str = Field("balanced", description="a list of images")

@hookimpl
def ganbench_models():
    return [ModelPlugin(name="tiny", summary="For tests", options=Tiny, build=print)]

@hookimpl
def ganbench_datasets():
    return [DatasetPlugin(name="clothes", summary="For tests", options=Clothes, build=print)]

@hookimpl
def ganbench_metrics():
    return [MetricPlugin(name="count", summary="For tests", build=print)]
"""


@pytest.fixture
def load(registry: Registry) -> Load:
    """`load("model.width=8")` returns the homework's spec with overrides; `benchmark=` selects another name or file."""

    def load(*overrides: str, benchmark: str | Path = "dcgan-fashion", registry: Registry = registry) -> BenchmarkSpec:
        return load_spec(str(benchmark), registry, overrides)

    return load


@pytest.fixture
def tiny(install: Install) -> Registry:
    """The default plugins with a model `tiny`, a dataset `clothes` and a metric `count`."""
    install("ganbench-tiny-spec", TINY)
    return Registry.load()


def saved(spec: BenchmarkSpec, folder: Path) -> Path:
    path = folder / "saved.toml"
    path.write_text(spec.to_toml(), encoding="utf-8")
    return path


def taken(table: dict[str, Any], path: str) -> object:
    """Remove and return the value at a dotted path of the table."""
    *parents, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    return reduce(getitem, parents, table).pop(last)


def assert_all_in(message: object, fragments: Iterable[str]) -> None:
    assert [fragment for fragment in fragments if fragment not in str(message)] == [], str(message)


# what a benchmark is


def test_the_default_benchmark_is_the_homework(load: Load) -> None:
    spec = load().to_dict()
    assert spec["model"] == DCGAN
    assert spec["loss"] == {"name": "bce"}
    assert spec["dataset"] == {"name": "fashion-mnist", "source": "auto"}
    assert spec["optimizer"] == {"generator": ADAM, "discriminator": ADAM}
    assert spec["training"] == {
        "batch_size": 64, "discriminator_steps": 1, "drop_last": False, "horizontal_flips": False, "epochs": 50,
        "seed": 42, "precision": "tf32", "update_scheme": "alternating",
    }  # fmt: skip
    assert spec["sample_images"] == {
        "real": 8,
        "generated": 10,
        "at_epochs": [10, 30, 50],
        "generator_mode": "train",
        "weights": "raw",
        "at_kimg": [],
    }


def test_the_default_benchmark_is_scored_by_fid_of_10_000_images(load: Load) -> None:
    (metric,) = load().to_dict()["metrics"]
    assert metric == {
        "name": "fid",
        "id": "fid",
        "features": {"name": "fashion-cnn"},
        "num_samples": 10_000,
        "at_epochs": [0, 10, 30, 50],
        "at_kimg": [],
        "generator_mode": "eval",
        "weights": "raw",
        "split": "test",
    }


@pytest.mark.parametrize("name", ["dcgan-fashion", "dcgan-fashion@ganbench"])
def test_the_default_benchmark_comes_with_the_published_curve(name: str) -> None:
    published = resolve_spec(name, (), ()).published_curve
    assert published is not None
    with published.history.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 51))
    assert (float(rows[0]["d_loss"]), float(rows[0]["g_loss"])) == (0.5943, 2.5842)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["model.width=8", "optimizer.generator=rmsprop", "dataset.source=embedded"],
        ["training.steps=100", "training.budget_seconds=1.5"],
        ['optimizer.generator.lr={name="cosine",start=1e-4}', "optimizer.discriminator.max_grad_norm=1.0"],
        ["metrics.0.features=inception-v3"],
        ["metrics.0.features=inception-v3", "metrics.0.features.weights=/tmp/w.pth"],
        ["metrics=[]"],
        ["""summary="GANs für 'alle' [1] # \\"x\\"\\\\" """],
    ],
)
def test_a_saved_spec_loads_as_the_same_spec(overrides: list[str], load: Load, tmp_path: Path) -> None:
    spec = load(*overrides)
    again = load(benchmark=saved(spec, tmp_path))
    assert again == spec
    assert again.sha256() == spec.sha256()
    assert again.to_toml() == spec.to_toml()


def test_the_hash_depends_only_on_fields_that_affect_the_run(load: Load, tmp_path: Path) -> None:
    short = tmp_path / "short.toml"
    short.write_text(
        'name = "one"\nmodel = "dcgan"\nloss = "bce"\ndataset = "fashion-mnist"\ntraining.steps = 10\n'
        'optimizer = { generator = "adam", discriminator = "adam" }\nmetrics = []\n'
    )
    spec = load(benchmark=short)
    assert load("model.width=64", "optimizer.generator.lr=0.00010", benchmark=short).sha256() == spec.sha256()
    assert load("model.width=65", benchmark=short).sha256() != spec.sha256()


def test_a_spec_lists_all_its_plugins_including_those_in_options(load: Load) -> None:
    chosen = [choice.name for choice in load("optimizer.generator=sgd").plugin_configs()]
    assert sorted(chosen) == ["adam", "bce", "dcgan", "fashion-cnn", "fashion-mnist", "fid", "sgd"]


OWN_FORMS = """
from dataclasses import dataclass
from pydantic import Field, computed_field
from ganbench import LossConfig, LossPlugin, Options, hookimpl

@dataclass
class Pair:
    first: LossConfig
    second: LossConfig

class Strength(Options):
    strength: float = Field(1.0, alias="lambda", description="the weight")

    @computed_field
    @property
    def half(self) -> float:
        return self.strength / 2

class Own(Strength):
    inner: Strength = Field(Strength(), description="more weights")
    pair: Pair = Field(description="two losses")

@hookimpl
def ganbench_losses():
    return [LossPlugin(name="own", summary="For tests", options=Own, build=print)]
"""


def test_options_with_an_alias_a_computed_field_or_a_dataclass_are_saved_and_found(
    load: Load, install: Install, tmp_path: Path
) -> None:
    install("ganbench-own-forms", OWN_FORMS)
    own = "loss={name='own', lambda=3.0, inner={lambda=2.0}, pair={first='bce', second='hinge'}}"
    registry = Registry.load()
    spec = load(own, registry=registry)
    again = load(benchmark=saved(spec, tmp_path), registry=registry)
    assert again.to_toml() == spec.to_toml()
    assert (again.loss.options.strength, again.loss.options.inner.strength) == (3.0, 2.0)  # type: ignore[attr-defined]
    assert {"own", "bce", "hinge"} <= {choice.name for choice in again.plugin_configs()}
    with pytest.raises(UsageError, match=r"loss\.strength: unknown key; it is given twice, also as 'lambda'"):
        load("loss.lambda=4", benchmark=saved(spec, tmp_path), registry=registry)
    schema = json.dumps(spec_schema(registry.all_plugins()))
    assert '"strength"' in schema
    assert '"lambda"' not in schema


# overrides


def test_another_plugin_keeps_what_is_not_its_option(load: Load) -> None:
    wgan = load("optimizer.discriminator=adam", benchmark="wgan-fashion").to_dict()["optimizer"]["discriminator"]
    assert (wgan["name"], wgan["clip_weights"]) == ("adam", 0.01)
    penalty = load("penalties.0=r2", benchmark="wgan-gp-fashion").to_dict()["penalties"][0]
    assert (penalty["name"], penalty["weight"]) == ("r2", 10.0)


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("training.batch_size=128", "training.batch_size", 128),
        ("training.batch_size = 128", "training.batch_size", 128),
        ("optimizer.generator.lr=1e-3", "optimizer.generator.lr", 1e-3),
        ("optimizer.generator.betas=[0.5, 0.9]", "optimizer.generator.betas", [0.5, 0.9]),
        ("dataset.source=embedded", "dataset.source", "embedded"),
        ("dataset.source='embedded'", "dataset.source", "embedded"),
        ("dataset.source = embedded", "dataset.source", "embedded"),
        ("summary=two words = one summary", "summary", "two words = one summary"),
        ("summary=", "summary", ""),
        ("summary='128'", "summary", "128"),
        ("name=my-run", "name", "my-run"),
        ("model={name='dcgan', width=8}", "model", DCGAN | {"width": 8}),
        ("metrics=[]", "metrics", []),
        ("metrics.0.num_samples=100", "metrics.0.num_samples", 100),
        ("metrics.0.at_epochs=[]", "metrics.0.at_epochs", []),
        ("metrics.0.features=inception-v3", "metrics.0.features.name", "inception-v3"),
        ("metrics.0.features.name=inception-v3", "metrics.0.features.name", "inception-v3"),
        ("sample_images.real=4", "sample_images.real", 4),
    ],
)
def test_an_override_sets_one_field_and_no_other(override: str, path: str, value: object, load: Load) -> None:
    before, after = load().to_dict(), load(override).to_dict()
    assert taken(after, path) == value
    taken(before, path)
    assert after == before


def test_options_of_a_plugin_named_by_an_override_can_be_set(load: Load) -> None:
    spec = load("metrics.0.features.weights=/tmp/w.pth", "metrics.0.features=inception-v3").to_dict()
    assert spec["metrics"][0]["features"] == {"name": "inception-v3", "weights": "/tmp/w.pth"}


@pytest.mark.parametrize("override", ["model=tiny", "model.name=tiny"])
def test_another_plugin_starts_from_its_own_options(override: str, load: Load, tiny: Registry, tmp_path: Path) -> None:
    wide = saved(load("model.width=8"), tmp_path)
    assert load(override, benchmark=wide, registry=tiny).to_dict()["model"] == {"name": "tiny", "depth": 2}


def test_another_plugin_does_not_inherit_options(load: Load, tiny: Registry, tmp_path: Path) -> None:
    clothes = saved(load("dataset=clothes", registry=tiny), tmp_path)
    spec = load("dataset=fashion-mnist", benchmark=clothes, registry=tiny).to_dict()
    assert spec["dataset"] == {"name": "fashion-mnist", "source": "auto"}


def test_naming_the_same_plugin_again_keeps_its_options(load: Load, tmp_path: Path) -> None:
    wide = saved(load("model.width=8"), tmp_path)
    assert load("model=dcgan", benchmark=wide) == load(benchmark=wide)


def test_another_metric_keeps_its_schedule_and_number_of_images(load: Load, tiny: Registry) -> None:
    (metric,) = load("metrics.0.num_samples=100", "metrics.0=count", registry=tiny).to_dict()["metrics"]
    assert (metric["name"], metric["num_samples"], metric["at_epochs"]) == ("count", 100, [0, 10, 30, 50])
    assert "features" not in metric


def test_an_entry_is_appended_to_an_empty_list(load: Load) -> None:
    spec = load('penalties.0={name="r1", weight=5}', "augmentations.0=diffaugment", "augmentations.1=ada")
    assert [penalty.name for penalty in spec.penalties] == ["r1"]
    assert [augmentation.name for augmentation in spec.augmentations] == ["diffaugment", "ada"]


def test_the_order_of_overrides_does_not_matter(load: Load, tiny: Registry) -> None:
    overrides = ["model=tiny", "model.depth=3", "optimizer.generator=sgd", "optimizer.generator.momentum=0.5"]
    assert load(*overrides, registry=tiny) == load(*reversed(overrides), registry=tiny)


def test_the_last_override_of_a_field_wins(load: Load) -> None:
    assert load("model.width=8", "model.width=16") == load("model.width=16")


def test_steps_replace_epochs_and_epochs_replace_steps(load: Load, tmp_path: Path) -> None:
    in_steps = load("training.steps=100")
    in_epochs = load("training.epochs=3", benchmark=saved(in_steps, tmp_path))
    assert (in_steps.training.steps, in_steps.training.epochs) == (100, None)
    assert (in_epochs.training.steps, in_epochs.training.epochs) == (None, 3)


def test_overrides_do_not_change_the_registered_benchmark(load: Load) -> None:
    load("model.width=8", "metrics.0.num_samples=100", "training.steps=5")
    assert load().model.options.model_dump() == {key: value for key, value in DCGAN.items() if key != "name"}
    assert (load().metrics[0].num_samples, load().training.epochs) == (10_000, 50)


# errors


@pytest.mark.parametrize(
    ("override", "fragments"),
    [
        ("model.width=0", ["model.width:", "at least 1", "got 0"]),
        ("model.widht=8", ["model.widht: unknown key; did you mean 'width'?"]),
        ("model.quux=8", ["model.quux: unknown key; available: width, latent_dim, negative_slope, dropout"]),
        ("loss.width=8", ["loss.width: unknown key"]),
        ("traning.seed=1", ["traning: unknown key; did you mean 'training'?"]),
        ("metrics.0.sample=5", ["metrics.0.sample: unknown key; did you mean 'num_samples'?"]),
        ("model.width=wide", ["model.width:", "an integer", "got 'wide'"]),
        ("model.width=8.5", ["model.width:", "an integer", "got 8.5"]),
        ("training.seed=-1", ["training.seed:", "at least 0"]),
        ("training.epochs=-1", ["training.epochs:", "at least 1", "got -1"]),
        ("training.epochs=0", ["training.epochs:", "at least 1"]),
        ("training.precision=fp8", ["training.precision:", "'fp32', 'tf32' or 'bf16'", "got 'fp8'"]),
        ("training=5", ["training:", "got 5"]),
        ("metrics.0.at_epochs=[0, -1]", ["metrics.0.at_epochs.1:", "got -1"]),
        ("metrics.0.num_samples=1", ["metrics.0.num_samples:", "at least 2"]),
        ("metrics.0={name='fid'}", ["metrics.0.features:", "required"]),
        ("metrics=fid", ["metrics:", "a list"]),
        ("optimizer.generator.lr=0", ["optimizer.generator.lr:", "greater than 0"]),
        ("optimizer.generator.betas=[0.9]", ["optimizer.generator.betas.1: required"]),
        ("optimizer.generator.betas=0.9", ["optimizer.generator.betas: must be a list (got 0.9)"]),
        ("optimizer.generator.betas=true", ["optimizer.generator.betas: must be a list (got True)"]),
        ("gate.metric_percent=true", ["gate.metric_percent: must be a table (got True)"]),
        ("optimizer.generator.betas=[0, 0.9, 1]", ["optimizer.generator.betas: must have at most 2 items, not 3"]),
        ("optimizer.generator.betas=[2.0, 0.9]", ["optimizer.generator.betas", "less than 1"]),
        ("optimizer.critic=adam", ["optimizer.critic: unknown key"]),
        ("loss=bcee", ["loss: unknown loss 'bcee'; did you mean 'bce'?"]),
        ("model=2024-01-01", ["model:", "name of a model"]),
        ("model={width=8}", ["model:", "'name'"]),
        ("metrics.0.features=inception", ["metrics.0.features:", "did you mean 'inception-v3'?"]),
        ("name=../up", ["name:", "got '../up'"]),
        ("loss.width=8", ["loss.width: unknown key; loss 'bce' has no options"]),
        ("training.n_critic=5", ["training.n_critic: unknown key; did you mean 'discriminator_steps'?"]),
        ("optimizer=adam", ["optimizer: must be a table with generator, discriminator (got 'adam')"]),
        ("penalties.0=r1", ["penalties.0.weight: required: weight of the penalty"]),
        ("optimizer.generator.betas=[false, 0.9]", ["optimizer.generator.betas.0: must be a number (got False)"]),
        ("optimizer.generator.lr=true", ["optimizer.generator.lr: must be a number, or a schedule"]),
        ("gate.metric_percent={fid=true}", ["gate.metric_percent.fid: must be a number (got True)"]),
        ("metrics.0.features={name='inception-v3',weights=''}", ["metrics.0.features.weights: must be a path, but is"]),
        ("optimizer.generator.lr=cosine", ['must be a number, or a schedule such as {name = "cosine", start = 1e-4}']),
    ],
)
def test_an_error_names_the_field_and_the_problem(override: str, fragments: list[str], load: Load) -> None:
    with pytest.raises(UsageError) as caught:
        load(override)
    assert_all_in(caught.value, ["benchmark dcgan-fashion: ", *fragments])


@pytest.mark.parametrize(
    ("override", "cause"),
    [
        ("nonsense", "expected PATH=VALUE"),
        ("=5", "expected PATH=VALUE"),
        ("metrics.1={name=kid}", "not a TOML table or list"),
        ("metrics.0.at_epochs=[1, 2", "not a TOML table or list"),
        ("model..width=5", "expected PATH=VALUE"),
        ("metrics.1.num_samples=5", "'1' is not an index of metrics, which has length 1"),
        ("metrics.-1.num_samples=5", "'-1' is not an index of metrics, which has length 1"),
        ("metrics.fid.num_samples=5", "'fid' is not an index of metrics, which has length 1"),
        ("training.seed.deep=5", "training.seed is a value, not a table"),
    ],
)
def test_the_error_for_an_invalid_path_in_an_override_quotes_it(override: str, cause: str, load: Load) -> None:
    with pytest.raises(UsageError) as caught:
        load(override)
    assert_all_in(caught.value, [f"-o {override.removesuffix('=5')}", cause])


def test_epochs_and_steps_together_are_an_error(load: Load) -> None:
    with pytest.raises(UsageError, match="training: give exactly one of 'epochs' and 'steps'"):
        load("training.epochs=2", "training.steps=20")


@pytest.mark.parametrize(
    "wrong",
    [
        {"model.width=0": "model.width:", "loss=bcee": "loss:", "metrics.0.num_samples=1": "metrics.0.num_samples:"},
        {"training.seed=-1": "training.seed:", "training.epochs=0": "training.epochs:"},
        {"model.widht=8": "model.widht:", "model.dropuot=0.5": "model.dropuot:"},
        {"training.sede=1": "training.sede:", "training.epochs=0": "training.epochs:"},
        {"traning.seed=1": "traning:", "model.width=0": "model.width:"},
    ],
    ids=["in different tables", "in one table", "misspelt", "misspelt beside a value", "misspelt table"],
)
def test_several_errors_are_all_reported_at_once(wrong: dict[str, str], load: Load) -> None:
    with pytest.raises(UsageError) as caught:
        load(*wrong)
    assert_all_in(caught.value, wrong.values())


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (None, "No such file"),
        (b"name = ", "not valid TOML"),
        (b"name = 'a'\nname = 'b'", "not valid TOML"),
        (b"name = '\xff'", "not valid TOML"),
        (b"", "model: required"),
        (b"model = 'dcgan'\nloss = 'bce'", "dataset: required"),
        (b"date = 2024-01-01", "date: unknown key"),
        (b"name = 2024-01-01", "name: "),
    ],
    ids=["missing", "cut short", "twice the same key", "not UTF-8", "empty", "half a spec", "a date", "a date as name"],
)
def test_the_error_for_an_invalid_file_names_it(content: bytes | None, cause: str, load: Load) -> None:
    path = Path("faulty.toml")
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        load(benchmark=path)
    assert_all_in(caught.value, ["benchmark faulty.toml: ", cause])


def test_an_unknown_benchmark_is_an_error_with_a_suggestion(load: Load) -> None:
    with pytest.raises(UsageError, match="unknown benchmark 'dcgan-fashon'; did you mean 'dcgan-fashion'"):
        load(benchmark="dcgan-fashon")


@pytest.mark.parametrize(
    "overrides",
    [
        ["metrics.1=distance"],
        ["metrics.1.name=distance"],
        ["metrics.1={name = 'distance'}"],
        ["metrics.1.num_samples=5", "metrics.1=distance"],
    ],
)
def test_a_metric_is_added_at_the_end(overrides: list[str], load: Load) -> None:
    assert [metric.name for metric in load(*overrides).metrics] == ["fid", "distance"]


def test_the_error_for_a_metric_index_out_of_range_says_how_to_add_one(load: Load) -> None:
    with pytest.raises(UsageError, match=r"which has length 1; set metrics\.1 to append"):
        load("metrics.2=fid")


def test_another_metric_of_a_saved_spec_gets_its_own_id_unless_one_was_chosen(
    load: Load, tiny: Registry, tmp_path: Path
) -> None:
    for given, kept in (([], "count"), (["metrics.0.id=main"], "main")):
        benchmark = saved(load(*given, registry=tiny), tmp_path)
        (metric,) = load("metrics.0=count", benchmark=benchmark, registry=tiny).metrics
        assert metric.id == kept
