"""The part of a result that may be compared between runs."""

from __future__ import annotations

from typing import Any

from ganbench.results.schema import Result


def reproducible(result: Result) -> dict[str, Any]:
    """Return everything that must depend only on spec, seed and machine, even if the run was interrupted."""
    return {
        "history": [{**row.model_dump(), "seconds": None, "images_per_second": None} for row in result.history],
        "metrics": [metric.model_dump() for metric in result.metrics],
        "status": result.status,
    }
