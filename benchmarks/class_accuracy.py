"""Measure whether a conditional generator makes the class that it is asked for.

python -m benchmarks.class_accuracy

Trains `cgan-fashion`, by default with narrow networks on the embedded subset, and classifies 1,000 generated images
with `fashion-cnn`, by a metric of its own. The accuracy is the fraction of images whose class is the label with which
they were generated: 10% for a generator that ignores its labels. The accuracy on real images is about the highest.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import Field
from rich.console import Console

import ganbench
from ganbench import (
    BuildContext,
    FeatureExtractorConfig,
    FeatureMetric,
    Features,
    MetricPlugin,
    Options,
    hookimpl,
)

from .results_file import write_results

METRIC = 'metrics=[{name="class-accuracy",features="fashion-cnn",num_samples=1000,at_epochs=[0]}]'


class AccuracyOptions(Options):
    features: FeatureExtractorConfig = Field(description="a feature extractor that is a classifier, by name")


class ClassAccuracy:
    """The fraction of images that the extractor's classifier assigns to their label; real images are not used."""

    higher_is_better = True
    uses_labels = True

    def __init__(self, features: Any) -> None:
        self.features = features
        self.label = f"class accuracy ({features.protocol['extractor']})"
        self.protocol: dict[str, Any] = {}

    def score(self, real: Features, generated: Features) -> float:
        labels, correct, start = generated.labels, 0, 0
        assert labels is not None
        for batch in generated.batches():
            predicted = self.features.logits(batch).argmax(1).cpu()
            correct += int((predicted == labels[start : start + len(batch)]).sum())
            start += len(batch)
        return correct / start


def build(options: AccuracyOptions, context: BuildContext) -> FeatureMetric:
    return ClassAccuracy(options.features.build(context))


@hookimpl
def ganbench_metrics() -> list[MetricPlugin]:
    summary = "Accuracy of a classifier on images with their labels"
    return [MetricPlugin(name="class-accuracy", summary=summary, options=AccuracyOptions, build=build)]


def main(
    steps: Annotated[int, typer.Option(help="Training steps, of five discriminator updates each.")] = 2000,
    width: Annotated[int, typer.Option(help="The model's option `width`; the benchmark has 64.")] = 8,
    seed: int = 42,
    device: str = "auto",
    source: Annotated[str, typer.Option(help="Source of FashionMNIST: auto, files, download, embedded.")] = "embedded",
    out: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None,
) -> None:
    setting = {"steps": steps, "width": width, "seed": seed, "source": source}
    overrides = [
        *(f"training.steps={steps}", f"training.seed={seed}", f"model.width={width}", f"dataset.source={source}"),
        *("sample_images.at_epochs=[]", METRIC),
    ]
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        out_dir, plugins = Path(folder) / "run", ["benchmarks.class_accuracy"]
        result = ganbench.run("cgan-fashion", *overrides, device=device, out=out_dir, plugins=plugins).result
    (metric,) = result.metrics
    accuracies = {
        "untrained": metric.curve[0].value,
        "trained": metric.value,
        "real_images": metric.real_data_score,
    }
    console.print(", ".join(f"{name.replace('_', ' ')}: {value:.1%}" for name, value in accuracies.items() if value))
    if out is not None:
        training_seconds = sum(row.seconds for row in result.history)
        results = {"accuracy": accuracies, "training_seconds": training_seconds, "protocol": metric.protocol}
        write_results(out, setting, device, results)


if __name__ == "__main__":
    typer.run(main)
