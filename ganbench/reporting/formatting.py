"""Text formats of numbers, durations, losses and plugins."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ganbench.results.schema import ReferenceResult
from ganbench.results.throughput import rate_text


def losses_line(losses: Mapping[str, float | None]) -> str:
    return "  ".join(f"{column_title(name)} {number(value)}" for name, value in losses.items())


def column_title(name: str) -> str:
    """Convert `d_loss` to "D Loss"."""
    return name.replace("_", " ").title()


def with_owners(texts: Sequence[tuple[str, Iterable[str]]]) -> list[str]:
    """Return each text once, preceded by the names of those that have it unless all do; `texts` are those by name."""
    owners: dict[str, list[str]] = {}
    for name, own in texts:
        for text in dict.fromkeys(own):
            owners.setdefault(text, []).append(name)
    return [text if len(names) == len(texts) else f"{', '.join(names)}: {text}" for text, names in owners.items()]


def number(value: float | None) -> str:
    """Format with four decimals; below 0.1 and from 10 million up, with four significant digits."""
    if value is None:
        return "not finite"
    return f"{value:.4f}" if value == 0 or 0.1 <= abs(value) < 1e7 else f"{value:#.4g}"


def speed(images_per_second: float, unreliable: bool) -> str:
    """Format images/s, with ~ if they cannot be compared with those of other runs."""
    return f"{'~' if unreliable else ''}{rate_text(images_per_second)}"


def duration(seconds: float) -> str:
    """Format a duration: "45 s", "12 min", "5 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def format_plugin(config: Mapping[str, Any]) -> str:
    """Format a plugin and its options: "adam (lr 0.0001, betas [0.9, 0.999])"."""
    shown = {
        key: format_plugin(value) if isinstance(value, Mapping) and "name" in value else value
        for key, value in config.items()
        if key != "name" and value is not None
    }
    options = ", ".join(f"{key} {value}" for key, value in shown.items())
    return f"{config['name']} ({options})" if options else str(config["name"])


def format_verdict(reference: ReferenceResult) -> str:
    """Format the verdict on a reference: "within", "outside (above)", "not comparable: split is test, not train"."""
    if reference.verdict == "not comparable":
        return f"not comparable: {'; '.join(reference.differences)}"
    if reference.verdict == "within" or reference.measured is None:
        return reference.verdict
    return f"outside ({'above' if reference.measured > reference.value else 'below'})"


def mebibytes(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"


def run_command(*arguments: str, processes: int) -> str:
    """Return the shell command `ganbench run ARGUMENTS`, with torchrun for several processes."""
    launcher = ["torchrun", "--nproc-per-node", str(processes), "-m"] if processes > 1 else []
    return shlex.join([*launcher, "ganbench", "run", *arguments])
