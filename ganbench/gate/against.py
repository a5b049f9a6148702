"""What this Python's code is checked against: a git revision, another Python, or what was stored."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path

from ganbench.errors import NotComparableError, UsageError

from .baseline import Baseline
from .check import (
    Check,
    Plan,
    check_interleaved,
    check_stored,
)
from .path_mapping import Localized
from .revision import checked_out
from .side import Arm, Code
from .under_test import UnderTest, installed_from


def check_revision(reference: str, plan: Plan) -> Check:
    """The working tree against a revision of the repository one stands in, which is checked out for that long.

    Raises `UsageError` where there is no such revision, and `NotComparableError` where nothing that is measured comes
    from the repository; else as `check_interleaved` does.
    """
    with checked_out(reference) as revision:
        under_test = UnderTest(revision, plan.measurement)
        localized = Localized(revision, plan.words)

        def need_of_head(code: Mapping[str, Code]) -> None:
            under_test.need_of_head(code)
            under_test.need_something(code, localized.files_of(plan.measurement))

        checkouts = (revision.folder, revision.repository)
        held = tuple(installed_from(revision.repository))
        base = Arm(
            f"{reference} ({revision.commit[:9]})",
            folder=localized.base_stands,
            import_paths=under_test.base,
            checkouts=checkouts,
            held=held,
            temporary=(revision.folder.parent,),
            localized=localized.base,
            need_own=under_test.need_of_base,
        )
        head = Arm(
            "the working tree",
            import_paths=under_test.head,
            checkouts=checkouts,
            held=held,
            temporary=(revision.folder.parent,),
            localized=localized.head,
            need_own=need_of_head,
        )
        return check_interleaved(base, head, plan)


def check_with_python(python: Path, plan: Plan) -> Check:
    """The running Python against another. Raises `UsageError` where there is none; else as `check_interleaved` does."""
    if not python.is_file():
        raise UsageError(f"--against-python {python}: there is no such file")
    base = Arm(str(python), python=str(python), need_own=need_nothing_of_this_python(python))
    return check_interleaved(base, Arm(sys.executable), plan)


def need_nothing_of_this_python(python: Path) -> Callable[[Mapping[str, Code]], None]:
    """What raises `NotComparableError` where another Python imports code from this one's site-packages."""
    installed = {Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib")}
    is_another = python.absolute().parent.resolve() != Path(sys.executable).absolute().parent.resolve()

    def need_own(code: Mapping[str, Code]) -> None:
        for name, imported in code.items():
            if is_another and any(Path(imported.path).is_relative_to(folder) for folder in installed):
                raise NotComparableError(
                    f"{python} would not be measured with its own code: {name} comes from {imported.path}, where "
                    f"{sys.executable} has it. Install it for {python}, and see that PYTHONPATH does not lead here"
                )

    return need_own


def check_baselines(baselines: Mapping[str, Baseline], plan: Plan) -> list[Check]:
    """What runs now against every baseline. Raises as `check_stored` does."""
    return check_stored(baselines, Arm("now"), plan) if baselines else []
