"""A git revision of the repository one stands in, checked out beside it, and what Python would import from there."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ganbench.errors import NotComparableError, UsageError


@dataclass(frozen=True)
class Revision:
    """A checkout of a commit."""

    repository: Path  # whose commit it is
    folder: Path  # where the commit is checked out
    commit: str

    def of(self, path: Path) -> Path:
        """Where a path of the repository lies in the checkout; any other is itself."""
        path = path.resolve()
        return self.folder / path.relative_to(self.repository) if path.is_relative_to(self.repository) else path


@contextmanager
def checked_out(reference: str) -> Iterator[Revision]:
    """The revision in a worktree that goes away with the block.

    Raises `UsageError` outside a repository and for a revision that does not exist.
    """
    repository = Path(
        git("rev-parse", "--show-toplevel", or_else="--against compares git revisions, and this is no repository")
    )
    commit = git(
        "rev-parse",
        "--verify",
        "--quiet",
        f"{reference}^{{commit}}",
        or_else=f"--against {reference}: there is no such revision",
    )
    with tempfile.TemporaryDirectory(prefix="ganbench-revision-") as parent:
        folder = Path(parent).resolve() / repository.name
        git(
            "worktree",
            "add",
            "--detach",
            str(folder),
            commit,
            or_else=f"--against {reference}: git cannot check it out",
        )
        try:
            yield Revision(repository.resolve(), folder, commit)
        finally:
            git("worktree", "remove", "--force", str(folder), or_else=f"git cannot remove the worktree {folder}")


def git(*arguments: str, or_else: str) -> str:
    """What git prints. Raises `UsageError` with `or_else` and git's own words where it fails."""
    try:
        finished = subprocess.run(["git", *arguments], capture_output=True, text=True)
    except FileNotFoundError:
        raise UsageError(f"{or_else} (there is no git on this machine)") from None
    if finished.returncode:
        words = " ".join(finished.stderr.split())
        raise UsageError(f"{or_else} ({words})" if words else or_else)
    return finished.stdout.strip()


def import_paths_within(repository: Path, modules: Iterable[str]) -> list[Path]:
    """Where Python imports from inside the repository: its path, and the packages of modules that lie there.

    Editable installs lead there by either.
    """
    found = [Path(entry).resolve() for entry in sys.path if entry]
    for module in ("ganbench", *modules):
        specification = find_spec(module.partition(".")[0])
        if specification and specification.origin:
            origin = Path(specification.origin).resolve()
            found.append(origin.parent.parent if specification.submodule_search_locations else origin.parent)
    return list(dict.fromkeys(path for path in found if path.is_relative_to(repository)))


def need_something_under_test(paths: list[Path], repository: Path, files: list[str]) -> None:
    """Raise `NotComparableError` if nothing that a session imports or reads comes from the repository: both sides would
    be one and the same, and pass."""
    if not paths and not any(Path(file).resolve().is_relative_to(repository) for file in files):
        raise NotComparableError(
            f"nothing that would be measured comes from {repository}: install it with pip install -e, or name a "
            "benchmark's TOML file or a plugin (-p) in it"
        )
