"""Audit all metrics of features on two datasets, and put the tables into docs/scores.md.

python -m benchmarks.sensitivity

As `ganbench audit` does, scores real images of the train split by their number, and images with flaws, against the test
split. The metrics of an audit score the same images, whose features are extracted once. `--tables` only creates the
tables, from the stored results.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain, pairwise
from pathlib import Path
from statistics import linear_regression, mean, stdev
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from .checkout import ROOT
from .pages import put_between
from .results_file import write_results

if TYPE_CHECKING:
    from ganbench.scoring.audit.audit import Audit, Scores

RESULTS = ROOT / "benchmarks" / "results" / "cpu-2-cores" / "sensitivity.json"
PAGE = ROOT / "docs" / "scores.md"
SENSITIVITY = ("<!-- sensitivity: made by python -m benchmarks.sensitivity -->\n", "<!-- end of sensitivity -->")
FID = ("<!-- fid: made by python -m benchmarks.sensitivity -->\n", "<!-- end of fid -->")
DRAWS = 3
KINDS = ("blur", "noise", "missing classes", "duplicates", "collapse")


@dataclass(frozen=True)
class Setting:
    dataset: str
    features: str
    images: int  # with each flaw
    metrics: tuple[str, ...]
    overrides: tuple[str, ...]


METRICS = ("fid", "kid", "precision-recall", "density-coverage", "inception-score")
KID = ("metrics.1.subsets=10", "metrics.1.subset_size=100")
NEIGHBORS = ("metrics.2.real_samples=2000", "metrics.3.real_samples=2000")  # their time grows with the reference
SIZE = tuple(f"metrics.{number}.features.size=8" for number in range(4))
SETTINGS = (
    Setting("fashion-mnist", "fashion-cnn", 1000, METRICS, ("dataset.source=files", *KID, *NEIGHBORS)),
    Setting("emoji", "raw", 1000, METRICS[:4], (*KID, *SIZE)),
    Setting("emoji", "efficientnet-lite0", 100, METRICS, KID),
)


def main(
    tables: Annotated[bool, typer.Option("--tables", help="Create the tables from the stored results only.")] = False,
    device: str = "cpu",
    data_dir: Path | None = None,
    out: Annotated[Path, typer.Option(help="Write the results to this JSON file.")] = RESULTS,
) -> None:
    if not tables:
        measured: list[dict[str, Any]] = []
        for setting in SETTINGS:
            audits = measure(setting, device, data_dir)
            measured.append({**asdict(setting), "audits": [stored(audit) for audit in audits]})
            write_results(out, {"draws": DRAWS}, device, {"settings": measured})
    settings = json.loads(out.read_text(encoding="utf-8"))["settings"]
    put_between(PAGE, *SENSITIVITY, render_sensitivity(settings))
    put_between(PAGE, *FID, render_fid(settings))


def measure(setting: Setting, device: str, data_dir: Path | None) -> list[Audit]:
    from ganbench import Registry
    from ganbench.runtime.device import resolve_device
    from ganbench.scoring.audit.audit import audit_metrics
    from ganbench.scoring.eval.request import Request

    request = Request(
        against=setting.dataset,
        metrics=setting.metrics,
        features=setting.features,
        overrides=setting.overrides,
        count=setting.images,
    )
    spec = request.spec(Registry.load(), None, setting.images)
    console = Console(stderr=True)
    name = f"{setting.dataset}, {setting.features}"
    audits: dict[int, Audit] = {}  # by position
    # metrics are audited together only if they compare with the same images, of which some are copied
    for samples in dict.fromkeys(metric.real_samples for metric in spec.metrics):
        numbers = [number for number, metric in enumerate(spec.metrics) if metric.real_samples == samples]
        found = audit_metrics(
            spec.model_copy(update={"metrics": [spec.metrics[number] for number in numbers]}),
            resolve_device(device),
            data_dir,
            setting.images,
            DRAWS,
            lambda status: console.print(f"{name}: {status}", highlight=False),
            lambda message: console.print(f"{name}: warning: {message}", highlight=False),
        )
        audits |= dict(zip(numbers, found, strict=True))
    return [audits[number] for number in sorted(audits)]


def stored(audit: Audit) -> dict[str, Any]:
    """Return an audit as JSON: the scores of every draw, and how each flaw is rated."""

    def draws(scores: Scores) -> dict[str, list[float | None]]:
        return {name: [None if math.isnan(one) else one for one in each] for name, each in scores.values.items()}

    return {
        "label": audit.label,
        "higher_is_better": audit.directions,
        "real": {str(count): draws(scores) for count, scores in audit.curve.items()},
        "flaws": [
            {
                "kind": flaw.name,
                "strength": flaw.strength,
                "scores": draws(flaw.scores),
                "rated": {name: audit.verdict(flaw, name) for name in audit.directions},
            }
            for flaw in audit.flaws
        ],
        "conclusions": {name: audit.conclusion(name) for name in audit.directions},
    }


def render_sensitivity(settings: Sequence[dict[str, Any]]) -> str:
    """Return Markdown tables of how the scores change with the strength of flaws, and of the scores."""
    lines: list[str] = []
    for setting in settings:
        real = f"{setting['images']:,}"
        lines += [f"{data(setting)}, {real} images:", ""]
        lines += [f"| Score | {' | '.join(KINDS)} |", "|---" * (1 + len(KINDS)) + "|"]
        scores = [(audit, name) for audit in setting["audits"] for name in audit["higher_is_better"]]
        for audit, name in scores:
            cells = [trend(audit, name, kind, str(setting["images"])) for kind in KINDS]
            lines.append(f"| {title(audit, name)} | {' | '.join(cells)} |")
        lines += [
            "",
            f"| Images | | {' | '.join(title(*score) for score in scores)} |",
            "|---" * (2 + len(scores)) + "|",
        ]
        cells = [spread(audit["real"][str(setting["images"])][name]) for audit, name in scores]
        lines.append(f"| real | | {' | '.join(cells)} |")
        for number, flaw in enumerate(setting["audits"][0]["flaws"]):
            if flaw["kind"] in KINDS:
                cells = [spread(audit["flaws"][number]["scores"][name]) for audit, name in scores]
                lines.append(f"| {flaw['kind']} | {flaw['strength']} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def title(audit: dict[str, Any], name: str) -> str:
    label = audit["label"].partition(" (")[0]  # the extractor is in the title of the table
    arrow = "↑" if audit["higher_is_better"][name] else "↓"
    return f"{name if name in ('precision', 'recall', 'density', 'coverage') else label} {arrow}"


def trend(audit: dict[str, Any], name: str, kind: str, images: str) -> str:
    """Return how the mean changes from real images to the strongest flaw of a kind, and how the strongest is rated."""
    flaws = [flaw for flaw in audit["flaws"] if flaw["kind"] == kind]
    if not flaws:
        return "left out"
    if all(flaw["rated"][name] == "not detected" for flaw in flaws):
        return "not detected"
    draws = [audit["real"][images][name], *(flaw["scores"][name] for flaw in flaws)]
    if any(None in each for each in draws):
        return "no score"
    changes = [later - earlier for earlier, later in pairwise(map(mean, draws))]
    if all(change > 0 for change in changes):
        direction = "rises"
    else:
        direction = "falls" if all(change < 0 for change in changes) else "not monotone"
    return f"{direction} ({flaws[-1]['rated'][name]})"


def spread(draws: Sequence[float | None]) -> str:
    numbers = [one for one in draws if one is not None]
    if len(numbers) < len(draws):
        return "none"
    return f"{mean(numbers):.3g} ± {round(stdev(numbers), 9):.2g}"  # 0 instead of rounding errors


def render_fid(settings: Sequence[dict[str, Any]]) -> str:
    """Return Markdown tables of FID by the number N of real images, and with all flaws.

    A fit of FID = limit + bias / N is by least squares to N FID = limit N + bias, as the standard deviation of FID is
    about proportional to 1/N.
    """
    lines = ["| Data | N | FID | N · FID |", "|---|---|---|---|"]
    for setting in settings:
        curve = {int(count): draws[""] for count, draws in setting["audits"][0]["real"].items()}
        products = {count: count * mean(draws) for count, draws in sorted(curve.items())}
        for count, product in products.items():
            lines.append(f"| {data(setting)} | {count:,} | {spread(curve[count])} | {three_digits(product)} |")
        limit, bias = linear_regression(list(products), list(products.values()))
        lines.append(f"| {data(setting)} | fit | {limit:.2g} + {three_digits(bias)} / N | |")
    columns = " | ".join(f"{data(setting)} | rated" for setting in settings)
    lines += ["", f"| Flaw | | {columns} |", "|---" * (2 + 2 * len(settings)) + "|"]
    columns_by_flaw = [
        {(flaw["kind"], flaw["strength"]): flaw for flaw in setting["audits"][0]["flaws"]} for setting in settings
    ]
    for kind, strength in dict.fromkeys(chain(*columns_by_flaw)):
        flaws = [column.get((kind, strength)) for column in columns_by_flaw]
        cells = [f"{spread(flaw['scores'][''])} | {flaw['rated']['']}" if flaw else "left out | " for flaw in flaws]
        lines.append(f"| {kind} | {strength} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def three_digits(number: float) -> str:
    """Format with three significant digits: "38.9", "1,090"."""
    return f"{float(f'{number:.3g}'):,g}"


def data(setting: dict[str, Any]) -> str:
    return f"`{setting['dataset']}`, `{setting['features']}`"


if __name__ == "__main__":
    typer.run(main)
