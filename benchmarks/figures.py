"""What every measurement leaves: its setting, its environment, its figures, as JSON."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def write_figures(path: Path, setting: dict[str, Any], device: str, figures: dict[str, Any]) -> None:
    """Write the figures with the command that made them and the environment that they hold in."""
    from ganbench.results.environment import describe_environment

    whole = {
        "command": command(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "setting": setting,
        "environment": describe_environment(device).model_dump(),
        **figures,
    }
    path.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")


def command() -> str:
    """The running command without the options that say where files lie."""
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
