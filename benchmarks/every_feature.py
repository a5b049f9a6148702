"""Train every benchmark, and every feature of a step, for a few steps: does it run, and on which engine?

python -m benchmarks.every_feature --device cuda --steps 50 --out every_feature.json

Each run has networks of full size (on a CPU, the largest are narrower), is scored, and generates images from its
checkpoint. On a GPU, each should be captured as a CUDA graph whose steps are bitwise identical to eager ones; the table
has the reason if it is not. Runs whose data or packages are missing are skipped. A second table has, for each plugin,
the fastest run that used it. The exit code is 1 if a run fails.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy
import torch
import typer
from PIL import Image
from rich.console import Console
from rich.table import Table

from ganbench import MissingError, Registry, Result, Run, load_spec, run
from ganbench.errors import describe
from ganbench.plugin.kinds import Kind
from ganbench_datasets.downloads import DownloadError

from .results_file import write_results

MAX_SAMPLES = 1000  # of each metric
# CIFAR-10 and the weights of its metric must be downloaded; these images have the same shape
LIKE_CIFAR10 = ("dataset=emoji", "references=[]", 'metrics=[{name="fid",features={name="raw",size=8}}]')
# these take longest, so they come last; on a CPU, a step at full width would take minutes
NARROW = {
    "cgan-fashion": ("model.width=8",),
    "r3gan-fashion": ("model.width=32", "training.batch_size=64"),
    **dict.fromkeys(("dcgan-cifar10", "sngan-cifar10", "wgan-gp-cifar10"), ("model.width=16",)),
}
IMAGE_METRICS = ("fid", "kid", "precision-recall", "density-coverage", "inception-score")
SCHEDULES = {"constant": "value=1e-4", "robbins-monro": "start=1e-3", "step": "start=1e-4,every_kimg=1"}
TRAINING_KINDS = ("model", "loss", "dataset", "optimizer", "schedule", "penalty", "augmentation")
SCORING_KINDS = ("metric", "feature-extractor")


@dataclass(frozen=True)
class Case:
    """A benchmark with overrides."""

    name: str
    benchmark: str
    overrides: tuple[str, ...] = ()
    resumed: bool = False  # also compare a resumed run with an uninterrupted one


@dataclass(frozen=True)
class Setting:
    """What all runs have in common."""

    device: str
    steps: int
    source: str
    data_dir: Path | None

    def train(self, case: Case, directory: Path, steps: int | None = None) -> Run:
        overrides = [*case.overrides, *(NARROW.get(case.name, ()) if self.device == "cpu" else ())]
        spec = load_spec(case.benchmark, *overrides)
        if spec.dataset.name == "fashion-mnist":
            overrides.append(f"dataset.source={self.source}")
        for number, metric in enumerate(spec.metrics):
            overrides.append(f"metrics.{number}.num_samples={min(metric.num_samples, MAX_SAMPLES)}")
            overrides.append(f"metrics.{number}.at_epochs=[]")
        return self.run(case.benchmark, *overrides, steps=steps or self.steps, out=directory)

    def run(self, *arguments: Any, **options: Any) -> Run:
        return run(*arguments, device=self.device, data_dir=self.data_dir, track=None, quiet=True, **options)


def cases(images: Path) -> list[Case]:
    """Return all registered benchmarks, and the features that none of them uses; `images` is a folder of images."""
    registry = Registry.load()
    benchmarks = [registered.plugin.name for registered in registry.of_kind(Kind.BENCHMARK)]
    optimizers = [registered.plugin.name for registered in registry.of_kind(Kind.OPTIMIZER)]
    metrics = ",".join(f'{{name="{name}",features="fashion-cnn"}}' for name in IMAGE_METRICS)
    features = {
        "precision fp32": ["training.precision=fp32"],
        "precision bf16": ["training.precision=bf16"],
        "channels_last": ["engine.memory_format=channels_last"],
        "streamed data": ["data.max_resident_mib=0"],
        "horizontal flips": ["training.horizontal_flips=true"],
        "simultaneous updates": ["training.update_scheme=simultaneous"],
        "penalties due at different steps": [
            'penalties=[{name="r1",weight=1,every=4},{name="r2",weight=1,every=3},{name="gradient-penalty",weight=1}]'
        ],
        "diffaugment": ['augmentations=["diffaugment"]'],
        "ada": ['augmentations=["ada"]'],
        "ada with a scheduled probability": [
            'augmentations=[{name="ada",p={name="cosine",start=0.0,end=0.55},color=0.5,cutout=1}]'
        ],
        "ada with bf16": ['augmentations=["ada"]', "training.precision=bf16"],
        "diffaugment and gradient-penalty": [
            'augmentations=["diffaugment"]',
            'penalties=[{name="gradient-penalty",weight=10}]',
        ],
        "ema": ["ema.half_life_kimg=1", "metrics.0.weights=ema"],
        "gradient clipping": ["optimizer.discriminator.max_grad_norm=1"],
        "all metrics": [f"metrics=[{metrics}]"],
        "target": ['targets=[{metric="fid",value=1e6,stop=true}]', "metrics.0.every_kimg=0.064"],
        **{
            f"optimizer {name}": [f"optimizer.{player}={name}" for player in ("generator", "discriminator")]
            for name in optimizers
        },
    }
    others = [
        *(Case(f"dataset {name}", "dcgan-fashion", (f"dataset={name}",)) for name in ("mnist", "kmnist")),
        *(Case(f"dataset {name}", "dcgan-cifar10", (f"dataset={name}",)) for name in ("cifar10", "stl10")),
        Case(
            "dataset image-folder",
            "dcgan-fashion",
            (f'dataset={{name="image-folder",path="{images}",size=28,channels=1}}',),
        ),
        Case("dataset gaussian-grid", "mlp-ring", ("dataset=gaussian-grid", "targets=[]")),
        *(Case(f"model {name}", "sngan-emoji", (f"model={name}",)) for name in ("dcgan-radford", "wgan-gp-convnet")),
        *(
            Case(f"features {name}", "dcgan-fashion", (f'metrics=[{{name="fid",features="{name}"}}]',))
            for name in ("raw", "efficientnet-lite0", "inception-v3")
        ),
        *(
            Case(f"schedule {name}", "dcgan-fashion", (f'optimizer.generator.lr={{name="{name}",{options}}}',))
            for name, options in SCHEDULES.items()
        ),
    ]
    every = [
        *(Case(name, name, LIKE_CIFAR10 if name.endswith("-cifar10") else ()) for name in benchmarks),
        *(Case(name, "dcgan-fashion", tuple(overrides)) for name, overrides in features.items()),
        Case("resumed run", "dcgan-fashion", resumed=True),
        *others,
    ]
    return sorted(every, key=lambda case: case.benchmark in NARROW)


def main(
    device: str = "cpu",
    steps: Annotated[int, typer.Option(min=2, help="Number of training steps of each run.")] = 50,
    only: Annotated[str, typer.Option(help="Run only the cases with this text in their names.")] = "",
    source: Annotated[str, typer.Option(help="Source of FashionMNIST: auto, files, download, embedded.")] = "files",
    data_dir: Path | None = None,
    jobs: Annotated[int, typer.Option(min=1, help="Number of runs at a time, each in a process.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None,
) -> None:
    setting = Setting(device, steps, source, data_dir)
    rows: dict[str, dict[str, Any]] = {}
    fresh = multiprocessing.get_context("spawn")  # a process that has used CUDA cannot be forked
    with tempfile.TemporaryDirectory() as images, ProcessPoolExecutor(jobs, fresh) as pool:
        write_noise(Path(images))
        chosen = {pool.submit(try_out, case, setting): case for case in cases(Path(images)) if only in case.name}
        for finished in as_completed(chosen):
            name = chosen[finished].name
            rows[name] = finished.result()
            print(f"{name}: {summary(rows[name])}", flush=True)
            if out is not None:
                write_results(out, {"steps": steps, "source": source, "jobs": jobs}, device, {"cases": rows})
    show(rows)
    show_plugins(rows)
    if failed := [name for name, row in rows.items() if "error" in row]:
        raise SystemExit(f"failed: {', '.join(failed)}")


def write_noise(folder: Path) -> None:
    """Write images of noise as PNG files, enough for two splits of as many as the metrics score."""
    for number, pixels in enumerate(numpy.random.default_rng(0).integers(256, size=(2 * MAX_SAMPLES, 28, 28))):
        Image.fromarray(pixels.astype(numpy.uint8)).save(folder / f"{number}.png")


def try_out(case: Case, setting: Setting) -> dict[str, Any]:
    """Train a case and generate images from its checkpoint; return what its result says, or the error."""
    begin, row = perf_counter(), {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            trained = setting.train(case, Path(folder) / "run")
            row = description(trained.result)
            if trained.result.spec["dataset"]["name"] != "none":  # games have players that generate no images
                trained.sample(4)
            if case.resumed:
                setting.train(case, Path(folder) / "half", setting.steps // 2)
                compare_weights(setting.run(resume=Path(folder) / "half", steps=setting.steps), trained)
        except (MissingError, DownloadError) as error:
            row = {"skipped": str(error).replace(str(Path.home()), "~")}
        except Exception as error:  # whatever it is, the other cases are tried too
            row["error"] = describe(error)
    return {**row, "seconds": perf_counter() - begin}


def description(result: Result) -> dict[str, Any]:
    assert result.throughput.engine is not None
    return {
        "status": result.status,
        "engine": result.throughput.engine.model_dump(exclude_none=True),
        "images_per_second": result.throughput.mean_images_per_second,
        "device_peak_bytes": result.memory.device_peak_bytes,
        "scores": result.scores,
        "plugins": sorted({f"{plugin.kind} {plugin.name}" for plugin in result.plugins}),
    }


def compare_weights(resumed: Run, uninterrupted: Run) -> None:
    weights = resumed.generator.state_dict()
    for name, expected in uninterrupted.generator.state_dict().items():
        if not torch.equal(weights[name], expected):
            raise AssertionError(f"after a resume, the generator's {name} differs from that of an uninterrupted run")


def summary(row: dict[str, Any]) -> str:
    for problem in ("error", "skipped"):
        if problem in row:
            return f"{problem}: {row[problem]}"
    engine = row["engine"]
    how = (
        engine["name"] if "fallback_reason" not in engine else f"{engine['name']}, because {engine['fallback_reason']}"
    )
    if engine.get("eager_nondeterminism"):
        how += f", nondeterministic ({engine['eager_nondeterminism']:.1e})"
    return f"{row['status']}, {how}, {row['seconds']:.1f} s"


def show(rows: dict[str, dict[str, Any]]) -> None:
    table = Table("run", "outcome", "images/s", "GPU memory, MB")
    for name, row in rows.items():
        rate, peak = row.get("images_per_second"), row.get("device_peak_bytes")
        table.add_row(name, summary(row), f"{rate:,.0f}" if rate else "", f"{peak / 1e6:,.0f}" if peak else "")
    Console(width=160).print(table)


def show_plugins(rows: dict[str, dict[str, Any]]) -> None:
    """Show the fastest run that used each plugin; a plugin has none if its runs were skipped or failed."""
    table = Table("plugin", "run", "seconds")
    registry = Registry.load()
    for kind in (*TRAINING_KINDS, *SCORING_KINDS):
        for registered in registry.of_kind(Kind(kind)):
            plugin = f"{kind} {registered.plugin.name}"
            seconds = {run: row["seconds"] for run, row in rows.items() if plugin in row.get("plugins", ())}
            run = min(seconds, key=lambda run: seconds[run], default=None)
            table.add_row(plugin, *((run, f"{seconds[run]:.1f}") if run else ("not run", "")))
    Console(width=100).print(table)


if __name__ == "__main__":
    typer.run(main)
