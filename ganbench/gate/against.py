"""What this Python's code is checked against: a git revision, another Python, or what was stored."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path

from ganbench.errors import UsageError
from ganbench.registry import ENTRY_POINT_GROUP

from .arm import Arm
from .baseline import Baseline
from .check import Check, Plan, check_interleaved, check_stored
from .revision import checked_out, import_paths_within, need_something_under_test


def check_revision(reference: str, plan: Plan) -> Check:
    """The working tree against a revision of the repository one stands in, which is checked out for that long.

    Raises `UsageError` where there is no such revision, and `NotComparableError` where nothing that is measured comes
    from the repository; else as `check_interleaved` does.
    """
    with checked_out(reference) as revision:
        modules = [entry_point.module for entry_point in entry_points(group=ENTRY_POINT_GROUP)]
        paths = import_paths_within(revision.repository, modules)
        named = [*plan.measurement.plugins, plan.measurement.benchmark]
        files = [name for name in named if name.endswith((".py", ".toml"))]
        need_something_under_test(paths, revision.repository, files)
        stands = revision.of(Path.cwd())
        base = Arm(
            f"{reference} ({revision.commit[:9]})",
            folder=stands if stands.is_dir() else revision.folder,
            own=revision.of,
            import_paths=tuple(revision.of(path) for path in paths),
        )
        return check_interleaved(base, Arm("the working tree", import_paths=tuple(paths)), plan)


def check_with_python(python: Path, plan: Plan) -> Check:
    """The running Python against another. Raises `UsageError` where there is none; else as `check_interleaved` does."""
    if not python.is_file():
        raise UsageError(f"--against-python {python}: there is no such file")
    return check_interleaved(Arm(str(python), python=str(python)), Arm(sys.executable), plan)


def check_baselines(baselines: Mapping[str, Baseline], plan: Plan) -> list[Check]:
    """What runs now against every baseline. Raises as `check_stored` does."""
    return check_stored(baselines, Arm("now"), plan) if baselines else []
