"""From the results of runs to the HTML of a report."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from ganbench.reporting.console import printable
from ganbench.results.throughput import rate_text
from ganbench.version import __version__

from .content import content
from .runs import ReportedRun
from .tables import PageTable

SCRIPTS = ("slider.js", "sort.js")


def render(runs: Sequence[ReportedRun], leaderboards: Sequence[PageTable] = (), suite: str | None = None) -> str:
    """Return a report as one HTML file: all text from files and plugins is escaped, and the page loads nothing.

    `suite` is the name of the suite that has all runs, if there is one.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    templates = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        finalize=printable_text,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["rate"] = rate_text
    # our own script is not escaped; the page permits no other, because it permits only the script with this hash
    script = "".join((files(__package__) / "templates" / name).read_text(encoding="utf-8") for name in SCRIPTS)
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = templates.get_template("page.html.j2")
    return page.render(
        content(runs, suite),
        leaderboards=leaderboards,
        script=Markup(script),
        script_hash=script_hash,
        version=__version__,
    )


def printable_text(value: Any) -> Any:
    """Show control characters instead of writing them."""
    return printable(value) if type(value) is str else value
