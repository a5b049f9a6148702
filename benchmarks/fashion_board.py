"""Create the section on losses in docs/benchmarks.md, with its images, from the suite benchmarks/fashion_losses.toml.

ganbench suite benchmarks/fashion_losses.toml --jobs 2 --device cpu
python -m benchmarks.fashion_board suites/fashion-losses

Without a folder, the section is written anew from the stored leaderboard.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ganbench import load_result
from ganbench.reporting.formatting import duration
from ganbench.reporting.leaderboard_formats import to_markdown
from ganbench.reporting.leaderboard_json import LeaderboardRecord
from ganbench.reporting.leaderboard_tables import notes
from ganbench.results.leaderboard import make_leaderboards
from ganbench.results.run_collection import find_runs
from ganbench.results.suite_record import read_suite

from .checkout import ROOT
from .pages import put_between, save_sheet

STORED = ROOT / "benchmarks" / "results" / "cpu-2-cores" / "fashion_losses.json"
PICTURE = ROOT / "docs" / "images" / "fashion-losses.png"
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- losses: made by python -m benchmarks.fashion_board -->\n", "<!-- end of losses -->"
TEXT = """\
## Losses on the homework's networks

{benchmarks} benchmarks with {seeds} seeds each, {seconds} of runs in all, two at once with {threads} thread each (CPU:
{device}). These runs are short, and their networks small: {epochs} epochs of the embedded subset, which has 5,000 train
images, and width {width} instead of 64. The ranking may differ after 50 epochs of the full dataset.

```sh
ganbench suite benchmarks/fashion_losses.toml --jobs 2 --device cpu
python -m benchmarks.fashion_board suites/fashion-losses
```

{table}
{notes}

The final samples of the first seed:

![Samples of each loss, and real images](images/{picture})
"""


def main(suite: Annotated[Path | None, typer.Argument(help="Folder of the finished suite.")] = None) -> None:
    if suite is not None:
        STORED.write_text(json.dumps(summarize(suite), indent=2) + "\n", encoding="utf-8")
        save_samples(suite)
    put_between(PAGE, BEGIN, END, render())


def summarize(suite: Path) -> dict[str, Any]:
    """Return the leaderboard of a suite, its file, and the environment and duration of its runs."""
    record, (board,) = read_suite(suite), make_leaderboards(find_runs([suite]))
    runs = [load_result(suite / "runs" / cell.id) for cell in record.cells]
    throughputs = [run.throughput for run in runs]
    seconds = sum(each.warmup_seconds + each.evaluation_seconds for each in throughputs)
    return {
        "suite": record.file,
        "environment": runs[0].environment.model_dump(),
        "run_seconds": seconds + sum(window.seconds for each in throughputs for window in each.windows),
        "leaderboard": LeaderboardRecord.of(board).model_dump(mode="json"),
        "table": to_markdown(board),
        "notes": list(notes(board)),
    }


def render() -> str:
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    options, environment = stored["suite"]["options"], stored["environment"]["must_match"]
    return TEXT.format(
        benchmarks=len(stored["suite"]["axes"]["benchmark"]),
        seeds=len(stored["suite"]["seeds"]),
        threads=environment["threads"],
        device=environment["device"],
        seconds=duration(stored["run_seconds"]),
        epochs=options["training"]["epochs"],
        width=options["model"]["width"],
        table=stored["table"],
        notes="\n".join(f"- {note}" for note in stored["notes"]),
        picture=PICTURE.name,
    )


def save_samples(suite: Path) -> None:
    """Put the final samples of each benchmark's first seed on one sheet, after some real images."""
    cells: dict[str, str] = {}
    for cell in read_suite(suite).cells:
        cells.setdefault(cell.axes["benchmark"], cell.id)
    folders = {name: suite / "runs" / cell / "samples" for name, cell in cells.items()}
    sheets = {"real images": next(iter(folders.values())) / "real.png"}
    sheets |= {name: max(folder.glob("epoch-*.png")) for name, folder in folders.items()}
    save_sheet(sheets, PICTURE)


if __name__ == "__main__":
    typer.run(main)
