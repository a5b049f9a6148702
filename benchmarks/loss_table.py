"""Train the homework's networks with each loss for images: losses, FID, and throughput.

python -m benchmarks.loss_table --device cuda --out-dir benchmarks/results/h200/loss_table

Every benchmark of `benchmarks/fashion_losses.toml`, in one process, one run after another. Writes loss_table.json and
the final samples of each benchmark's first seed. Without `--out-dir`, creates the section in docs/benchmarks.md from
the stored results.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ganbench import Result, run
from ganbench.reporting.formatting import number

from .checkout import ROOT
from .pages import put_between, save_sheet
from .results_file import write_results

SUITE = Path(__file__).with_name("fashion_losses.toml")
STORED = ROOT / "benchmarks" / "results" / "h200" / "loss_table"
PICTURE = ROOT / "docs" / "images" / "loss-table.png"
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- loss table: made by python -m benchmarks.loss_table -->\n", "<!-- end of loss table -->"
TEXT = """\
## Losses on the full dataset, {epochs} epochs

{epochs} epochs of the full FashionMNIST with networks of full width, on an {device}. Losses and FID are those of the
seeds {seeds}, and images/s is the mean. `wgan-fashion` and `wgan-gp-fashion` update the generator once in five updates
of the discriminator, each with other real images.

```sh
{command}
```

| Benchmark | Outcome | D loss | G loss | FID (fashion-cnn) | images/s |
|---|---|---|---|---|---|
{rows}

The final samples of the first seed:

![Samples of each loss after {epochs} epochs](images/{picture})
"""


def main(
    out_dir: Annotated[Path | None, typer.Option(help="Write the results and images to this folder.")] = None,
    seeds: Annotated[str, typer.Option(help="Seeds, separated by commas.")] = "0,1",
    epochs: int = 2,
    device: str = "auto",
    source: Annotated[str, typer.Option(help="Source of FashionMNIST: auto, files, download, embedded.")] = "files",
    data_dir: Path | None = None,
) -> None:
    if out_dir is None:
        put_between(PAGE, BEGIN, END, render())
        benchmarks = json.loads((STORED / "loss_table.json").read_text(encoding="utf-8"))["runs"]
        save_sheet({benchmark: STORED / f"{benchmark}.png" for benchmark in benchmarks}, PICTURE)
        return
    out_dir.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[dict[str, Any]]] = {}
    for benchmark in tomllib.loads(SUITE.read_text(encoding="utf-8"))["axes"]["benchmark"]:
        rows[benchmark] = []
        for seed in seeds.split(","):
            overrides = [
                *(f"training.seed={seed}", f"training.epochs={epochs}", f"dataset.source={source}"),
                *("metrics.0.at_epochs=[]", f"sample_images.at_epochs=[{epochs}]"),
            ]
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "run"
                result = run(
                    benchmark, *overrides, device=device, data_dir=data_dir, out=out, quiet=True, track=None
                ).result
                if len(rows[benchmark]) == 0 and result.status == "completed":
                    shutil.copy(out / "samples" / f"epoch-{epochs:04d}.png", out_dir / f"{benchmark}.png")
            rows[benchmark].append(row(result))
            print(f"{benchmark}, seed {seed}: {rows[benchmark][-1]}", flush=True)
            setting = {"seeds": seeds, "epochs": epochs, "source": source}
            write_results(out_dir / "loss_table.json", setting, device, {"runs": rows})
    table = Table("benchmark", "outcome", "D loss", "G loss", "FID", "images/s")
    for cells in table_rows(rows):
        table.add_row(*cells)
    Console(width=120).print(table)


def row(result: Result) -> dict[str, Any]:
    (metric,) = result.metrics
    last = result.history[-1]
    return {
        "status": result.status,
        "d_loss": last.d_loss,
        "g_loss": last.g_loss,
        "fid": metric.value,
        "fid_of_real_images": metric.real_data_score,
        "images_per_second": result.throughput.mean_images_per_second,
    }


def table_rows(runs: dict[str, list[dict[str, Any]]]) -> Iterator[list[str]]:
    for benchmark, of_seeds in runs.items():
        outcome = ", ".join(dict.fromkeys(run["status"] for run in of_seeds))
        losses_and_fid = [", ".join(number(run[key]) for run in of_seeds) for key in ("d_loss", "g_loss", "fid")]
        rates = [run["images_per_second"] for run in of_seeds if run["images_per_second"]]
        yield [benchmark, outcome, *losses_and_fid, f"{mean(rates):,.0f}" if rates else ""]


def render() -> str:
    stored = json.loads((STORED / "loss_table.json").read_text(encoding="utf-8"))
    return TEXT.format(
        epochs=stored["setting"]["epochs"],
        seeds=" and ".join(stored["setting"]["seeds"].split(",")),
        command=stored["command"],
        device=stored["environment"]["must_match"]["device"],
        rows="\n".join(f"| {' | '.join(cells)} |" for cells in table_rows(stored["runs"])),
        picture=PICTURE.name,
    )


if __name__ == "__main__":
    typer.run(main)
