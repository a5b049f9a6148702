"""`ganbench compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganbench.errors import UsageError

from .console import AsJson, given_path, out, print_json


def compare(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="RESULT RESULT...", parser=given_path, help="Run directories or result.json files."),
    ],
    as_json: AsJson = False,
) -> None:
    """Compare results side by side, ranking only comparable values. Has no pass/fail criterion."""
    if len(results) < 2:
        raise UsageError("compare needs at least two results: run directories or result.json files")
    from ganbench.results.comparison import compare as compare_results
    from ganbench.results.comparison_json import ComparisonRecord
    from ganbench.results.schema import load_result

    from .comparison_tables import comparison_tables

    comparison, names = compare_results([load_result(path) for path in results]), list(map(str, results))
    if as_json:
        print_json(ComparisonRecord.of(comparison, names).model_dump(mode="json"))
        return
    for table in comparison_tables(comparison, names):
        out.print(table)
        out.print()
