"""Check the current code against a git revision, another Python, or stored baselines."""

from __future__ import annotations

import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ganbench.errors import NotComparableError, UsageError
from ganbench.system.signals import defer_signals

from .baseline.stored import Baseline
from .check import Check, CheckConfig
from .comparing import check_interleaved, check_stored
from .revision.checkout import checked_out
from .revision.dependencies import dependencies_finding
from .revision.path_mapping import PathMapping
from .revision.under_test import UnderTest, current_side, installed_from, require_up_to_date
from .side import Code, Side

EXTENSIONS_VARIABLE = "TORCH_EXTENSIONS_DIR"  # where `torch.utils.cpp_extension.load` compiles


def check_revision(reference: str, config: CheckConfig) -> Check:
    """Check the working tree against a revision of the current repository, checked out into a temporary folder.

    Raises `UsageError` if the revision does not exist, `MissingError` if it lacks a given file, `NotComparableError` if
    nothing that is measured comes from the repository, and otherwise as `check_interleaved` does.
    """
    with checked_out(reference) as revision, extensions_folder() as extensions:
        under_test = UnderTest(revision, config.session_config)
        path_mapping = PathMapping(revision, config.non_paths)
        path_mapping.require_in_base(config.session_config)
        path_mapping.link_untracked_data(config.session_config)

        def require_head_code(code: Mapping[str, Code]) -> None:
            under_test.require_head_code(code)
            under_test.require_repository_code(code, path_mapping.files_of(config.session_config))

        checkouts = (revision.folder, revision.repository)
        repository_packages = tuple(installed_from(revision.repository))
        temporary = (revision.folder.parent, extensions)
        base = Side(
            revision.title(reference),
            folder=path_mapping.base_folder,
            import_paths=under_test.base,
            checkouts=checkouts,
            repository_packages=repository_packages,
            native_code=revision.hash_native_code(revision.folder),
            environment={EXTENSIONS_VARIABLE: str(extensions / "base")},
            temporary=temporary,
            localize=path_mapping.base,
            require_own=under_test.require_base_code,
        )
        head = Side(
            "the working tree",
            import_paths=under_test.head,
            checkouts=checkouts,
            repository_packages=repository_packages,
            native_code=revision.hash_native_code(revision.repository),
            environment={EXTENSIONS_VARIABLE: str(extensions / "head")},
            temporary=temporary,
            localize=path_mapping.head,
            require_own=require_head_code,
        )
        check = check_interleaved(base, head, config)
        if finding := dependencies_finding(revision):
            return replace(check, findings={**check.findings, "dependencies": finding})
        return check


def check_with_python(python: Path, config: CheckConfig) -> Check:
    """Check the running Python against another one.

    Raises `UsageError` if it does not exist, and otherwise as `check_interleaved` does.
    """
    if not python.is_file():
        raise UsageError(f"--against-python {python}: file not found")
    with extensions_folder() as extensions:
        base = Side(
            str(python),
            python=str(python),
            import_paths=(),  # PYTHONPATH belongs to the running Python
            environment={EXTENSIONS_VARIABLE: str(extensions / "base")},
            temporary=(extensions,),
            require_own=require_own_packages(python),
        )
        head = Side(
            sys.executable,
            environment={EXTENSIONS_VARIABLE: str(extensions / "head")},
            temporary=(extensions,),
            require_own=require_up_to_date(config.log),
        )
        return check_interleaved(base, head, config)


@contextmanager
def extensions_folder() -> Iterator[Path]:
    """Yield a temporary folder for the extensions that torch compiles when a side loads them.

    By default, it compiles all extensions of one name in one folder, where the sides would replace each other's.
    """
    folder = Path(tempfile.mkdtemp(prefix="ganbench-extensions-"))
    try:
        yield folder
    finally:
        with defer_signals():
            shutil.rmtree(folder, ignore_errors=True)


def require_own_packages(python: Path) -> Callable[[Mapping[str, Code]], None]:
    """Return a function that raises `NotComparableError` if `python` imports code from this Python's site-packages."""
    installed = {Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib")}
    is_another = python.absolute().parent.resolve() != Path(sys.executable).absolute().parent.resolve()

    def require_own(code: Mapping[str, Code]) -> None:
        for name, imported in code.items():
            if is_another and any(Path(imported.path).is_relative_to(folder) for folder in installed):
                raise NotComparableError(
                    f"{python} would not run its own code: {name} comes from {imported.path}, which belongs to "
                    f"{sys.executable}. Install it for {python}"
                )

    return require_own


def check_baselines(baselines: Mapping[str, Baseline], config: CheckConfig) -> list[Check]:
    """Check the current code against each baseline. Raises as `check_stored` does."""
    return check_stored(baselines, current_side(config.log), config) if baselines else []
