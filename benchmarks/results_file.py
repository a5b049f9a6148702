"""Write the results of a benchmark as JSON, with its settings and environment."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def write_results(path: Path, setting: dict[str, Any], device: str, results: dict[str, Any]) -> None:
    """Write results together with the command and the environment that produced them."""
    from ganbench.results.environment import describe_environment

    content = {
        "command": command(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "setting": setting,
        "environment": describe_environment(device).model_dump(),
        **results,
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def command() -> str:
    """Return the running command without the options that name files."""
    specification = sys.modules["__main__"].__spec__
    assert specification is not None
    words = ["python -m", specification.name.removesuffix(".__main__")]
    arguments = iter(sys.argv[1:])
    for argument in arguments:
        if argument in ("--out", "--out-dir", "--data-dir", "--before"):
            next(arguments)
        else:
            words.append(argument)
    return " ".join(words)
