"""A revision of the repository one stands in, checked out into a folder of its own.

The files are written by way of an index of their own, and the repository learns nothing of it: there is no worktree to
take back, and a git hook, in whose middle of a commit this may run, finds the repository as it was.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ganbench.errors import UsageError
from ganbench.system.signals import defer_signals

from .git import git


@dataclass(frozen=True)
class Revision:
    """The files of a commit."""

    repository: Path  # whose commit it is
    folder: Path  # where its files are
    commit: str
    tracked: frozenset[str]  # files of the working tree, by their paths in the repository
    files: frozenset[str]  # the commit's, likewise

    def of(self, path: Path) -> Path:
        """Where the commit has a path of the repository; any other path is itself."""
        path = path.resolve()
        return self.folder / path.relative_to(self.repository) if path.is_relative_to(self.repository) else path

    def of_data(self, path: Path) -> Path:
        """The same for data: what git does not track is nobody's version, and stays where it is."""
        path = path.resolve()
        if not path.is_relative_to(self.repository):
            return path
        name = path.relative_to(self.repository).as_posix()
        is_tracked = name in self.tracked or any(file.startswith(f"{name}/") for file in self.tracked)
        return self.of(path) if is_tracked or self.of(path).exists() else path


@contextmanager
def checked_out(reference: str) -> Iterator[Revision]:
    """The revision's files in a folder that goes away with the block.

    Raises `UsageError` outside a repository and for a revision that does not exist.
    """
    repository = Path(
        git("rev-parse", "--show-toplevel", or_else="--against compares git revisions, and this is no repository")
    ).resolve()
    commit = commit_of(reference)
    listed = "git cannot list the repository's files"
    tracked = git("-C", str(repository), "ls-files", "-z", or_else=listed)
    files = git("-C", str(repository), "ls-tree", "-r", "-z", "--name-only", commit, or_else=listed)
    parent = Path(tempfile.mkdtemp(prefix="ganbench-revision-")).resolve()
    try:
        folder = parent / repository.name
        folder.mkdir()
        index = {"GIT_INDEX_FILE": str(parent / "index")}
        failed = f"--against {reference}: git cannot check it out"
        git("-C", str(repository), "read-tree", commit, or_else=failed, more=index)
        git("-C", str(repository), "checkout-index", "--all", f"--prefix={folder}/", or_else=failed, more=index)
        yield Revision(repository, folder, commit, *(frozenset(names.split("\0")) for names in (tracked, files)))
    finally:
        with defer_signals():
            shutil.rmtree(parent, ignore_errors=True)


def commit_of(reference: str) -> str:
    """The hash of the commit that a revision means. Raises `UsageError` where there is none."""
    if not reference.strip() or reference.endswith("/"):
        raise UsageError(
            f"--against {reference!r}: the name of a branch is missing; a variable such as $GITHUB_BASE_REF is empty "
            "where a build is not for a pull request"
        )
    return git(
        "rev-parse",
        "--verify",
        "--quiet",
        f"{reference}^{{commit}}",
        or_else=f"--against {reference}: there is no such revision",
    )
