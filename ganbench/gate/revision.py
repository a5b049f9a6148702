"""Check out a revision of the current repository into a temporary folder.

A separate index is used, so the repository does not change: no worktree has to be removed, and a git hook can run this
in the middle of a commit.
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

    repository: Path  # the root of the repository
    folder: Path  # where the files are checked out
    commit: str
    tracked: frozenset[str]  # files of the working tree, relative to the repository
    files: frozenset[str]  # files of the commit, likewise

    def locate(self, path: Path) -> Path:
        """Return where a path of the repository is in the checkout; return other paths unchanged."""
        path = path.resolve()
        return self.folder / path.relative_to(self.repository) if path.is_relative_to(self.repository) else path

    def locate_data(self, path: Path) -> Path:
        """Do the same for data, except that untracked files have no revision and stay where they are."""
        path = path.resolve()
        if not path.is_relative_to(self.repository):
            return path
        name = path.relative_to(self.repository).as_posix()
        is_tracked = name in self.tracked or any(file.startswith(f"{name}/") for file in self.tracked)
        return self.locate(path) if is_tracked or self.locate(path).exists() else path


@contextmanager
def checked_out(reference: str) -> Iterator[Revision]:
    """Check out the files of a revision into a folder that is removed at the end of the block.

    Raises `UsageError` outside of a repository, and for a revision that does not exist.
    """
    repository = Path(
        git("rev-parse", "--show-toplevel", error="--against needs a git repository; run it inside one")
    ).resolve()
    commit = commit_of(reference)
    listed = "git cannot list the files of the repository"
    tracked = git("-C", str(repository), "ls-files", "-z", error=listed)
    files = git("-C", str(repository), "ls-tree", "-r", "-z", "--name-only", commit, error=listed)
    parent = Path(tempfile.mkdtemp(prefix="ganbench-revision-")).resolve()
    try:
        folder = parent / repository.name
        folder.mkdir()
        index = {"GIT_INDEX_FILE": str(parent / "index")}
        failed = f"--against {reference}: git cannot check it out"
        git("-C", str(repository), "read-tree", commit, error=failed, env=index)
        git("-C", str(repository), "checkout-index", "--all", f"--prefix={folder}/", error=failed, env=index)
        yield Revision(repository, folder, commit, *(frozenset(names.split("\0")) for names in (tracked, files)))
    finally:
        with defer_signals():
            shutil.rmtree(parent, ignore_errors=True)


def commit_of(reference: str) -> str:
    """Resolve a revision to a commit hash. Raises `UsageError` if it does not exist."""
    if not reference.strip() or reference.endswith("/"):
        raise UsageError(
            f"--against {reference!r}: the branch name is missing; variables such as $GITHUB_BASE_REF are empty in "
            "builds that are not for a pull request"
        )
    return git(
        "rev-parse",
        "--verify",
        "--quiet",
        f"{reference}^{{commit}}",
        error=f"--against {reference}: no such revision",
    )
