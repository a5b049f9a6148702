"""Measure the peak memory of scoring with three metrics that share one extractor of 2,048 features.

python -m benchmarks.feature_memory --out benchmarks/results/cpu-2-cores/feature_memory.json

Each number of generated images is measured in a fresh process on the embedded subset. The process also counts the
images passed to the extractor: because the metrics share one pass, that is each generated and each real image once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from .results_file import write_results

COUNTS = (1_000, 10_000, 50_000)
PLUGIN = """
from ganbench import FeatureExtractorConfig, FeatureExtractorPlugin, MetricPlugin, Options, hookimpl

SEEN = [0]

def build_extractor(options, context):
    import torch

    class Projection(torch.nn.Module):
        num_features = 2048
        protocol = {"extractor": "projection"}

        def __init__(self):
            super().__init__()
            weight = torch.randn(784, 2048, generator=torch.Generator().manual_seed(0))
            self.register_buffer("weight", weight)

        def forward(self, images):
            SEEN[0] += len(images)
            return images.flatten(1).float() @ self.weight

    return Projection().eval()

class MeanOptions(Options):
    features: FeatureExtractorConfig

class Mean:
    higher_is_better = False
    protocol = {}

    def __init__(self, features):
        self.features, self.label = features, "distance between means"

    def score(self, real, generated):
        one, other = (sum(batch.double().sum(0) for batch in each.batches()) / len(each) for each in (real, generated))
        return (one - other).norm().item()

@hookimpl
def ganbench_feature_extractors():
    return [FeatureExtractorPlugin(name="projection", summary="Random projection", build=build_extractor)]

@hookimpl
def ganbench_metrics():
    build = lambda options, context: Mean(options.features.build(context))
    return [MetricPlugin(name="mean", summary="Distance between means", options=MeanOptions, build=build)]
"""
RUN = """
import json, resource, sys
import ganbench

plugin, out, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
metric = f'{{name="mean",features="projection",num_samples={count},at_epochs=[]}}'
small = ["dataset.source=embedded", "model.width=2", "training.steps=1", "sample_images.generated=0"]
overrides = [*small, f"metrics=[{metric},{metric},{metric}]"]
ganbench.run("dcgan-fashion", *overrides, plugins=[plugin], device="cpu", out=out, quiet=True, track=None)
seen = next(module.SEEN[0] for name, module in sys.modules.items() if name.startswith("ganbench_plugin_"))
print(json.dumps({"peak_rss_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "images_seen": seen}))
"""


def main(out: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None) -> None:
    rows = [measure(count) for count in COUNTS]
    for row in rows:
        print(f"{row['generated']:,} images: peak {row['peak_rss_mib']:,.0f} MiB, {row['images_seen']:,} seen")
    if out is not None:
        write_results(out, {"metrics": 3, "num_features": 2048}, "cpu", {"runs": rows})


def measure(count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        plugin = Path(folder) / "projection.py"
        plugin.write_text(PLUGIN, encoding="utf-8")
        command = [sys.executable, "-c", RUN, str(plugin), str(Path(folder) / "run"), str(count)]
        environment = {**os.environ, "XDG_CACHE_HOME": str(Path(folder) / "cache")}
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    answer = json.loads(done.stdout.splitlines()[-1])
    real = 1_000 + min(count, 5_000)  # the test split, and `count` train images for the real-data score
    return {
        "generated": count,
        "real": real,
        "images_seen": answer["images_seen"],
        "peak_rss_mib": answer["peak_rss_kib"] / 1024,
    }


if __name__ == "__main__":
    typer.run(main)
