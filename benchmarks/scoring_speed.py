"""Compare the time and memory of scoring folders of PNG files with ganbench and with torch-fidelity.

python -m benchmarks.scoring_speed --out benchmarks/results/cpu-2-cores/scoring_speed.json

Scores images of FashionMNIST's train split against those of its test split with the same network, `fashion-cnn`, which
torch-fidelity gets as a feature extractor of its own. It has no density and coverage, so ganbench is measured with and
without them. Each measurement is a fresh process without caches, and the order changes with each round. Prints a table
in Markdown; the ratios of a round are more reliable than its seconds. The memory is that of the main process, without
torch-fidelity's workers. Linux only.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated, Any

import typer

from .fresh_process import in_fresh_process
from .results_file import write_results
from .rounds import in_order_of

FOUR = "fid,kid,precision-recall,density-coverage"
THREE = "fid,kid,precision-recall"
# metrics by tool
TASKS: dict[str, dict[str, str]] = {
    "all": {"ganbench": FOUR, "ganbench without density and coverage": THREE, "torch-fidelity": THREE},
    "fid": {"ganbench": "fid", "torch-fidelity": "fid"},
}
REFERENCE = "torch-fidelity"


def main(
    images: Annotated[int, typer.Option(min=1_000, max=10_000, help="Images on either side.")] = 10_000,
    rounds: Annotated[int, typer.Option(min=1, help="Each round measures every tool once.")] = 5,
    source: Annotated[str, typer.Option(help="Source of FashionMNIST: auto, files, download, embedded.")] = "files",
    data_dir: Path | None = None,
    out: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None,
    only: Annotated[str | None, typer.Option(hidden=True)] = None,  # TOOL:METRICS to measure in this worker process
    folder: Annotated[Path | None, typer.Option(hidden=True)] = None,  # with the images, for the worker
) -> None:
    if only is not None:
        assert folder is not None
        tool, _, metrics = only.partition(":")
        work(tool, metrics, folder)
        return
    measured: dict[str, dict[str, list[dict[str, Any]]]] = {task: {tool: [] for tool in TASKS[task]} for task in TASKS}
    with tempfile.TemporaryDirectory(prefix="ganbench-png-") as name:
        write_images(Path(name), images, source, data_dir)
        for number in range(rounds):
            for task, tools in TASKS.items():
                for tool in in_order_of(number, tools):
                    one = measure(tool, tools[tool], Path(name))
                    measured[task][tool].append(one)
                    print(f"round {number + 1}, {task}, {tool}: {one['seconds']:.1f} s", file=sys.stderr)
            if out is not None:
                setting = {"images": images, "rounds": number + 1, "source": source}
                write_results(out, setting, "cpu", {"measured": measured})
    print(render(measured))


def write_images(folder: Path, count: int, source: str, data_dir: Path | None) -> None:
    """Write images of each split as PNG files to the folders train and test."""
    from PIL import Image

    from ganbench.system.files import default_data_dir
    from ganbench_datasets.fashion_mnist.sources import load

    data = load(source, data_dir or default_data_dir())  # type: ignore[arg-type] # validated by it
    for name, split in (("train", data.train), ("test", data.test)):
        assert split is not None
        if len(split) < count:
            raise SystemExit(f"--images {count:,}: the {name} split has {len(split):,} images")
        (folder / name).mkdir()
        for index in range(count):
            image, _ = split[index]
            Image.fromarray(image[0].numpy()).save(folder / name / f"{index:05}.png")


def measure(tool: str, metrics: str, folder: Path) -> dict[str, Any]:
    """Return scores, the seconds from the start of a process for them to its end, and its peak memory."""
    options = ["--only", f"{tool.split()[0]}:{metrics}", "--folder", str(folder)]
    with tempfile.TemporaryDirectory() as cache:
        start = perf_counter()
        measured = in_fresh_process("benchmarks.scoring_speed", options, XDG_CACHE_HOME=cache)
        return {"seconds": perf_counter() - start, **measured}


def work(tool: str, metrics: str, folder: Path) -> None:
    """Score in this process, and print scores and memory as JSON."""
    scores = {"ganbench": with_ganbench, "torch-fidelity": with_torch_fidelity}[tool](metrics.split(","), folder)
    print(json.dumps({"scores": scores, "peak_rss_mib": peak_rss_mib()}))


def peak_rss_mib() -> float:
    """Return the peak memory of this process, without its workers; `ru_maxrss` would contain that of its parent."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (peak,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak) / 1024


def with_ganbench(metrics: list[str], folder: Path) -> dict[str, float | None]:
    """Score as `ganbench eval train --against test` does."""
    import ganbench

    result = ganbench.evaluate(
        folder / "train", against=folder / "test", metrics=metrics, features="fashion-cnn", device="cpu"
    )
    return {metric.id: metric.value for metric in result.metrics}


def with_torch_fidelity(metrics: list[str], folder: Path) -> dict[str, float | None]:
    import torch  # before ganbench, whose settings of OpenMP should not apply
    import torch_fidelity
    from torch_fidelity.feature_extractor_base import FeatureExtractorBase

    from ganbench_features.fashion_cnn import IMAGE_SHAPE, load_extractor

    class FashionCNN(FeatureExtractorBase):
        """`fashion-cnn` on torch-fidelity's images, which have three equal channels."""

        def __init__(self, name: str, features: list[str], **options: Any) -> None:
            super().__init__(name, features)
            self.network = load_extractor(IMAGE_SHAPE, "cpu")

        @staticmethod
        def get_provided_features_list() -> tuple[str]:
            return ("features",)

        @staticmethod
        def get_default_feature_layer_for_metric(_: str) -> str:
            return "features"

        @staticmethod
        def can_be_compiled() -> bool:
            return False

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
            return (self.network(images[:, :1]),)

    torch_fidelity.register_feature_extractor("fashion-cnn", FashionCNN)
    return torch_fidelity.calculate_metrics(
        input1=str(folder / "train"),
        input2=str(folder / "test"),
        feature_extractor="fashion-cnn",
        cuda=False,
        cache=False,
        verbose=False,
        fid="fid" in metrics,
        kid="kid" in metrics,
        prc="precision-recall" in metrics,
    )


def render(measured: dict[str, dict[str, list[dict[str, Any]]]]) -> str:
    """Return a Markdown table of medians, and of the ratios to torch-fidelity in each round."""
    lines = ["| Metrics | Tool | Seconds | ÷ torch-fidelity | Peak memory, MiB | FID |", "|---|---|---|---|---|---|"]
    for task, tools in measured.items():
        for tool, runs in tools.items():
            seconds = [run["seconds"] for run in runs]
            ratios = [run["seconds"] / other["seconds"] for run, other in zip(runs, tools[REFERENCE], strict=True)]
            compared = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if tool != REFERENCE else ""
            memory = median(run["peak_rss_mib"] for run in runs)
            scores = runs[0]["scores"]
            fid = scores.get("fid", scores.get("frechet_inception_distance"))
            names = TASKS[task][tool].replace(",", ", ")
            lines.append(f"| {names} | {tool} | {median(seconds):.1f} | {compared} | {memory:,.0f} | {fid:.5f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
