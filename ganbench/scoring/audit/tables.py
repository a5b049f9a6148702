"""The table of an audit."""

from __future__ import annotations

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from ganbench.reporting.formatting import number

from .audit import TARGET, Audit, Scores


def audit_table(audit: Audit) -> Table:
    """Show the scores of real images by their number, and of images with flaws, with how the metric rates them."""
    names = list(audit.directions)
    table = Table(title=escape(f"{audit.label}: audit"), title_justify="left", caption_justify="left")
    table.add_column("Images")
    table.add_column("")
    for name in names:
        arrow = "higher is better" if audit.directions[name] else "lower is better"
        table.add_column(escape(f"{name or 'score'} ({arrow})"))
        table.add_column("rated")
    for count, scores in audit.curve.items():
        cells = [cell for name in names for cell in (value(scores, name), "")]
        table.add_row("real", f"{count:,} images", *cells)
    table.add_section()
    for flaw in audit.flaws:
        cells = [cell for name in names for cell in (value(flaw.scores, name), audit.verdict(flaw, name))]
        table.add_row(flaw.name, flaw.strength, *cells)
    table.caption = escape("\n".join(line for name in names for line in closing_lines(audit, name)))
    return table


def value(scores: Scores, name: str) -> str:
    return f"{number(scores.mean(name))} ± {number(scores.std(name))}"


def closing_lines(audit: Audit, name: str) -> Iterator[str]:
    """Yield what the scores say about a value of the metric, and how many images it takes."""
    prefix = f"{name}: " if name else ""
    yield f"{prefix}{audit.conclusion(name)}"
    needed = audit.needed(name)
    if audit.extractor_fault is not None:
        return
    if needed is None:
        yield f"{prefix}the score of real images is not clearly different from 0, so it has no relative spread"
    else:
        images = f"{float(f'{needed:.1g}'):,.0f} images"
        yield f"{prefix}a standard deviation of {TARGET:.0%} of the score requires about {images}"
