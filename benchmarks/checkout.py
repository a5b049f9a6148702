"""Other checkouts of ganbench, such as git worktrees of older commits, to alternate with this one."""

from __future__ import annotations

import os
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def importable(checkout: Path) -> Iterator[dict[str, str]]:
    """Yield environment variables with which this Python imports a checkout's ganbench and finds its plugins."""
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with tempfile.TemporaryDirectory() as folder:
        metadata = Path(folder) / f"ganbench-{project['version']}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ganbench\nVersion: {project['version']}\n")
        points = [f"{name} = {module}" for name, module in project["entry-points"]["ganbench"].items()]
        (metadata / "entry_points.txt").write_text("\n".join(["[ganbench]", *points]) + "\n")
        paths = (Path(folder), checkout.resolve(), checkout.resolve() / "plugins")
        yield {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}


def commit_of(checkout: Path | None) -> str | None:
    if checkout is None:
        return None
    finished = subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return finished.stdout.strip()
