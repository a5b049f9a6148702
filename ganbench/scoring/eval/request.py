"""What an evaluation was asked for: its spec and its reference, from the arguments of `ganbench eval`."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganbench.errors import UsageError
from ganbench.plugin.kinds import Kind
from ganbench.plugin.registrations import Buildable
from ganbench.plugin.registry import Registry
from ganbench.results.layout import SPEC, is_run_directory
from ganbench.results.run_collection import read_spec
from ganbench.results.run_directory import refuse_folder_of_runs
from ganbench.spec.evaluation import EvaluationSpec
from ganbench.spec.loading import load_spec, validated
from ganbench.spec.overrides import apply_overrides
from ganbench.spec.plugins import load_registry
from ganbench.system.files import exists

if TYPE_CHECKING:
    from .arrays import Layout

PARTS = ("dataset", "metrics", "scoring")  # of a benchmark that an evaluation takes over
EXPECTED_IMAGES = "give a folder of images, a .npy or .npz file, or a run directory"


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of `ganbench eval` that say how something is scored."""

    against: str | None
    metrics: Sequence[str] = ()
    features: str | None = None
    overrides: Sequence[str] = ()
    count: int | None = None  # images to score
    weights: str | None = None  # of a run, as are mode and seed
    mode: str | None = None
    seed: int | None = None
    array: str | None = None  # of a NumPy file, as is the layout
    layout: Layout | None = None
    option: str = "--against"  # that gives `against`, for error messages

    def check(self, images: Path | str) -> None:
        """Raise `UsageError` for arguments that do not fit what is scored: a path, or the name of something in memory.

        What the spec says is checked by `spec`.
        """
        if self.against == "":  # of a variable that is not set: a path would be the current folder
            raise UsageError(f"{self.option}: expected a name or a path, got an empty string")
        path = images if isinstance(images, Path) else None
        is_run = path is not None and is_run_directory(path)
        if path is not None and not exists(path):
            raise UsageError(f"{images}: no such file or folder; {EXPECTED_IMAGES}")
        if path is not None and not is_run:
            refuse_folder_of_runs(path)
        if not is_run and self.against is None:
            raise UsageError(
                f"{images}: nothing to compare with; give {self.option} DATASET, a benchmark, or other images"
            )
        of_runs = {"--weights": self.weights, "--mode": self.mode, "--seed": self.seed}
        of_files = {"--array": self.array, "--layout": self.layout}
        if wrong := [name for name, value in (of_files if is_run else of_runs).items() if value is not None]:
            raise UsageError(f"{wrong[0]} is for a {'file' if is_run else 'run directory'}, but {images} is not one")
        if self.layout not in (None, "NHWC", "NCHW"):
            raise UsageError(f"--layout {self.layout}: choose NHWC (channels last) or NCHW (channels first)")
        if self.count is not None and self.count < 2:
            raise UsageError(f"the number of images to score must be at least 2, got {self.count}")

    def registry_for(self, images: Path | str | None, plugins: list[str]) -> Registry:
        """Load all plugins, including those that the runs, and the spec to compare with, were started with.

        `images` are those that are scored; None if they are those of the dataset to compare with.
        """
        scored = images if isinstance(images, Path) and is_run_directory(images) else None
        runs = [run for run in (scored, self.reference_run(scored)) if run is not None]
        return load_registry(plugins, self.against if is_toml(self.against) else None, use=runs)

    def reference_run(self, scored: Path | None) -> Path | None:
        """Return the run whose dataset is compared with: that of `against`, or else the one that is scored, if any."""
        if self.against is None:
            return scored
        return Path(self.against) if is_run_directory(Path(self.against)) else None

    def spec(self, registry: Registry, run: dict[str, Any] | None, count: int | None) -> EvaluationSpec:
        """Return the resolved spec; `run` is that of the run to score, and `count` the number of images in files.

        Dataset, metrics and batch size are those of the benchmark to compare with, or else of the run. Raises
        `UsageError` if there is no reference or no metric, or an option is invalid.
        """
        base = {key: deepcopy(run[key]) for key in PARTS if key in run} if run else {}
        base |= self._from_reference(registry)
        if self.metrics:
            base["metrics"] = [{"name": name} for name in self.metrics]
        self._require_metrics(base.get("metrics"), registry)
        if self.features:  # before the overrides, which may set options of the extractor
            for metric in base["metrics"]:
                if takes_features(metric, registry):
                    metric["features"] = self.features
        forced = self._forced(count, files=base["dataset"] is None)
        self._refuse_overrides(base, {*forced, *([] if run else ["num_samples"])})
        data = apply_overrides(base, self.overrides)
        self._require_metrics(data["metrics"], registry)
        if isinstance(data["metrics"], list):  # else, validation says what is wrong
            data["metrics"] = [self._complete(metric, forced, registry, run) for metric in data["metrics"]]
        spec = validated(EvaluationSpec, data, registry, "eval")
        if self.features and not any("features" in type(metric.options).model_fields for metric in spec.metrics):
            raise UsageError(f"--features {self.features} has no effect, as no metric uses an extractor; omit it")
        return spec

    def _require_metrics(self, metrics: Any, registry: Registry) -> None:
        if not metrics:
            known = ", ".join(found.plugin.name for found in registry.of_kind(Kind.METRIC))
            raise UsageError(f"no metrics: give --metrics, or a benchmark as {self.option}; available: {known}")

    def _forced(self, count: int | None, files: bool) -> dict[str, Any]:
        """Return the keys that all metrics have, including those that an override adds."""
        split = "train" if files else None  # the only one of files
        keys = {
            "num_samples": count or self.count,
            "split": split,
            "weights": self.weights,
            "generator_mode": self.mode,
        }
        return {key: value for key, value in keys.items() if value is not None}

    def _refuse_overrides(self, base: dict[str, Any], keys: set[str]) -> None:
        """Raise `UsageError` for an override of the dataset, if it is files, or of one of these keys of a metric."""
        metrics = [{key: value for key, value in metric.items() if key not in keys} for metric in base["metrics"]]
        overridden = apply_overrides({**base, "dataset": base["dataset"] or {}, "metrics": metrics}, self.overrides)
        if base["dataset"] is None and overridden["dataset"] != {}:
            raise UsageError(f"-o cannot set dataset here: {self.option} {self.against} names files, not a dataset")
        listed = overridden["metrics"] if isinstance(overridden["metrics"], list) else []
        tables = [metric for metric in listed if isinstance(metric, dict)]
        hints = {
            "num_samples": "use -n to choose the number of images",
            "split": "files have only one split",
            "weights": "--weights sets those of all metrics",
            "generator_mode": "--mode sets that of all metrics",
        }
        for key in sorted(keys):
            if any(key in metric for metric in tables):
                raise UsageError(f"-o cannot set {key} of a metric here: {hints[key]}")

    def _from_reference(self, registry: Registry) -> dict[str, Any]:
        """Return the parts of a spec that `against` names; the dataset is None if it names files."""
        if self.against is None:
            return {}
        path = Path(self.against)
        for kind in (Kind.BENCHMARK, Kind.DATASET):
            if exists(path) and is_registered(self.against, kind, registry):
                named = f"{self.against}@{registry.find(kind, self.against).provider.distribution}"
                raise UsageError(
                    f"{self.option} {self.against}: both the name of a {kind} and a path, {path.resolve()}; write "
                    f"{named} for the {kind}, or ./{self.against} for the path"
                )
        if (spec := self._reference_spec(registry)) is not None:
            return {key: spec[key] for key in PARTS if key in spec}
        if exists(path) or path.suffix.lower() in (".npy", ".npz"):
            refuse_folder_of_runs(path)
            return {"dataset": None}
        try:
            registry.find(Kind.DATASET, self.against)
        except UsageError as error:
            raise UsageError(f"{self.option} {self.against}: no such file, folder or benchmark, and {error}") from None
        return {"dataset": {"name": self.against}}

    def reference_seed(self, registry: Registry) -> int | None:
        """Return the seed of the run or the benchmark to compare with, which may select the splits of its dataset."""
        spec = self._reference_spec(registry)
        return None if spec is None else spec.get("training", {}).get("seed")

    def _reference_spec(self, registry: Registry) -> dict[str, Any] | None:
        """Return the spec of the run or the benchmark that `against` names; None for a dataset or files."""
        if self.against is None:
            return None
        if run := self.reference_run(None):
            return read_spec(run / SPEC)
        if is_toml(self.against) or is_registered(self.against, Kind.BENCHMARK, registry):
            return load_spec(self.against, registry).to_dict()
        return None

    def _complete(self, metric: Any, forced: dict[str, Any], registry: Registry, run: dict[str, Any] | None) -> Any:
        """Return a metric's table, or that of its name, with what the arguments say about each metric."""
        table = {"name": metric} if isinstance(metric, str) else metric
        if not isinstance(table, dict):
            return table  # validation says what is wrong
        defaults = {}
        if self.metrics and run is not None:
            defaults["weights"] = "ema" if "ema" in run else "raw"
        if takes_features(table, registry) and "features" not in table:
            if not self.features:
                known = ", ".join(found.plugin.name for found in registry.of_kind(Kind.FEATURE_EXTRACTOR))
                raise UsageError(
                    f"metric '{table['name']}' needs a feature extractor: give --features; available: {known}"
                )
            defaults["features"] = self.features
        return {**defaults, **table, **forced}


def takes_features(metric: dict[str, Any], registry: Registry) -> bool:
    """Return whether a metric has a feature extractor; false if it is unknown, as validation says so."""
    name = metric.get("name")
    if not isinstance(name, str) or not is_registered(name, Kind.METRIC, registry):
        return False
    plugin = registry.find(Kind.METRIC, name).plugin
    assert isinstance(plugin, Buildable)
    return "features" in plugin.options.model_fields


def is_toml(against: str | None) -> bool:
    return against is not None and against.endswith(".toml")


def is_registered(name: str, kind: Kind, registry: Registry) -> bool:
    return name.partition("@")[0] in {found.plugin.name for found in registry.of_kind(kind)}
