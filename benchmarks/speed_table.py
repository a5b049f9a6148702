"""Create README's throughput table from the stored results.

python -m benchmarks.speed_table
"""

from __future__ import annotations

import json
from statistics import median
from typing import Any

from .pages import ROOT, put_between

BEGIN, END = "<!-- speed: made by python -m benchmarks.speed_table -->\n", "<!-- end of speed -->"
LOOPS = {
    "notebook": "homework notebook",
    "bare": "hand-tuned",
    "lightning": "Lightning, manual optimization",
    "ganbench-eager": "ganbench, eager",
    "ganbench": "ganbench",
}


def render() -> str:
    """Return a Markdown table of every `loops.json` under benchmarks/results."""
    lines = ["| device | batch, precision | loop | images/s | ganbench ÷ loop |", "|---|---|---|---|---|"]
    for path in sorted((ROOT / "benchmarks" / "results").glob("*/loops*.json")):
        lines += rows(json.loads(path.read_text(encoding="utf-8")))
    return "\n".join(lines) + "\n"


def rows(stored: dict[str, Any]) -> list[str]:
    environment, setting = stored["environment"]["must_match"], stored["setting"]
    threads = f", {environment['threads']} threads" if "threads" in environment else ""
    device = f"{environment['device']}{threads}, torch {stored['environment']['may_differ']['torch']}"
    table = []
    for name, rates in stored["images_per_second"].items():
        ratios = stored["ganbench_ratio"][name]
        ratio_range = f" ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 else ", 1 round"
        compared = f"{median(ratios):.2f}{ratio_range}" if name != "ganbench" else ""
        condition = f"{setting['batch_size']}, {setting['precision']}"
        table.append(f"| {device} | {condition} | {LOOPS[name]} | {median(rates):,.0f} | {compared} |")
    return table


def main() -> None:
    put_between(ROOT / "README.md", BEGIN, END, render())


if __name__ == "__main__":
    main()
