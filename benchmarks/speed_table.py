"""Create the tables of loops in docs/speed.md, and the shorter one in README, from the stored results.

python -m benchmarks.speed_table
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from statistics import median
from typing import Any

from .checkout import ROOT
from .pages import put_between

README, PAGE = ROOT / "README.md", ROOT / "docs" / "speed.md"
BEGIN, END = "<!-- speed: made by python -m benchmarks.speed_table -->\n", "<!-- end of speed -->"
LOOPS = {
    "notebook": "homework notebook",
    "bare": "hand-tuned",
    "lightning": "Lightning, manual optimization",
    "ganbench-eager": "ganbench, eager",
    "ganbench": "ganbench",
}


def render_summary() -> str:
    """Return README's table: ganbench and the notebook, one row for each `loops*.json` under benchmarks/results."""
    lines = [
        "| device | batch size, precision | homework notebook, images/s | ganbench, images/s | ganbench ÷ notebook |",
        "|---|---|---|---|---|",
    ]
    for stored in results():
        notebook, ours = (f"{median(stored['images_per_second'][loop]):,.0f}" for loop in ("notebook", "ganbench"))
        cells = [device(stored), condition(stored), notebook, ours, ratio(stored, "notebook")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def render() -> str:
    """Return the table of docs/speed.md, with a row for each loop."""
    lines = ["| device | batch size, precision | loop | images/s | ganbench ÷ loop |", "|---|---|---|---|---|"]
    for stored in results():
        for loop, rates in stored["images_per_second"].items():
            compared = "" if loop == "ganbench" else ratio(stored, loop)
            cells = [device(stored), condition(stored), LOOPS[loop], f"{median(rates):,.0f}", compared]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def results() -> Iterator[dict[str, Any]]:
    for path in sorted((ROOT / "benchmarks" / "results").glob("*/loops*.json")):
        yield json.loads(path.read_text(encoding="utf-8"))


def device(stored: dict[str, Any]) -> str:
    environment = stored["environment"]["must_match"]
    threads = f", {environment['threads']} threads" if "threads" in environment else ""
    return f"{environment['device']}{threads}, torch {stored['environment']['may_differ']['torch']}"


def condition(stored: dict[str, Any]) -> str:
    return f"{stored['setting']['batch_size']}, {stored['setting']['precision']}"


def ratio(stored: dict[str, Any], loop: str) -> str:
    """Format the median ratio of ganbench's images/s to those of a loop, with its range over the rounds."""
    ratios = stored["ganbench_ratio"][loop]
    ratio_range = f" ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 else ", 1 round"
    return f"{median(ratios):.2f}{ratio_range}"


def main() -> None:
    put_between(README, BEGIN, END, render_summary())
    put_between(PAGE, BEGIN, END, render())


if __name__ == "__main__":
    main()
