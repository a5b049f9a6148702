"""Check out a revision of the current repository into a temporary folder.

A separate index is used, so the repository does not change: no worktree has to be removed, and a git hook can run this
in the middle of a commit.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ganbench.errors import UsageError
from ganbench.system.signals import defer_signals
from ganbench.system.source import CODE_SUFFIXES, code_files, hash_files, is_source

from .git import git


@dataclass(frozen=True)
class Revision:
    """The files of a commit."""

    repository: Path  # the root of the repository
    folder: Path  # where the files are checked out
    commit: str
    tracked: frozenset[str]  # files of the working tree, relative to the repository
    files: frozenset[str]  # files of the commit, likewise

    def title(self, reference: str) -> str:
        """Return the reference and the commit, for display."""
        short = self.commit[:9]
        return short if self.commit.startswith(reference) else f"{reference} ({short})"

    def hash_native_code(self, checkout: Path) -> str:
        """Return a hash of the code in a checkout that is not in Python: compilers read it, and not the sessions."""
        suffixes = CODE_SUFFIXES - {".py"}
        names = (name for name in self.tracked | self.files if PurePosixPath(name).suffix in suffixes)
        return hash_files({name: checkout / name for name in names})

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

    def link_untracked(self, folder: Path) -> None:
        """Link the untracked files of a folder of the working tree into this folder of the checkout.

        Code is left out: it is under test, and would not be the revision's own.
        """
        original = self.repository / folder.relative_to(self.folder)
        if not original.is_dir():
            return
        for name in list_files(original, "ls-files", "--others"):
            file, link = original / name, folder / name
            is_data = file.suffix not in CODE_SUFFIXES and is_source(file, self.repository)
            if is_data and not link.exists() and not link.is_symlink():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(file)


@contextmanager
def checked_out(reference: str) -> Iterator[Revision]:
    """Check out the files of a revision into a folder that is removed at the end of the block.

    Raises `UsageError` outside of a repository, and for a revision that does not exist.
    """
    repository = Path(
        git("rev-parse", "--show-toplevel", error="--against needs a git repository; run it inside one")
    ).resolve()
    commit = commit_of(reference)
    tracked = list_files(repository, "ls-files", "--recurse-submodules")
    parent = Path(tempfile.mkdtemp(prefix="ganbench-revision-")).resolve()
    try:
        folder = parent / repository.name
        folder.mkdir()
        files = check_out(reference, repository, commit, folder, parent / "index")
        yield Revision(repository, folder, commit, frozenset(tracked), frozenset(files))
    finally:
        with defer_signals():
            shutil.rmtree(parent, ignore_errors=True)


def check_out(reference: str, repository: Path, commit: str, folder: Path, index: Path) -> set[str]:
    """Write the files of a commit and of its submodules to a folder, and return their names, relative to it.

    Generated modules that git ignores, such as the `_version.py` of a build, have no revision: they are copied. So are
    folders of them in a package.
    """
    environment = {"GIT_INDEX_FILE": str(index)}
    at = ("-C", str(repository))
    failed = f"--against {reference}: git cannot check out {commit[:9]} of {repository}"
    git(*at, "read-tree", commit, error=failed, env=environment)
    git(*at, "checkout-index", "--all", f"--prefix={folder}/", error=failed, env=environment)
    files = set()
    for entry in list_files(repository, "ls-tree", "-r", commit):
        description, _, name = entry.partition("\t")
        _, kind, found = description.split()
        if kind == "blob":
            files.add(name)
        elif (repository / name / ".git").exists():  # a submodule that head has
            missing = f"--against {reference}: submodule {name} lacks commit {found[:9]}; fetch it there"
            git("-C", str(repository / name), "cat-file", "-e", f"{found}^{{commit}}", error=missing)
            inner = check_out(reference, repository / name, found, folder / name, index)
            files |= {f"{name}/{file}" for file in inner}
    for name in list_files(repository, "ls-files", "--others", "--ignored", "--exclude-standard", "--directory"):
        generated, parent = repository / name, (folder / name).parent
        belongs = (parent / "__init__.py").is_file() if generated.is_dir() else parent.is_dir()
        if belongs and not generated.name.startswith("."):
            copy_modules(generated, parent)
    return files


def copy_modules(generated: Path, parent: Path) -> None:
    """Copy a generated module, or a folder of them, into the folder `parent`, except those that are there."""
    for name, module in code_files(generated).items():
        target = parent / name
        if module.suffix == ".py" and is_source(module, generated.parent) and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(module, target)


def list_files(repository: Path, command: str, *options: str) -> list[str]:
    """Return the lines of a git command that lists files."""
    listed = git("-C", str(repository), command, "-z", *options, error="git cannot list the files of the repository")
    return list(filter(None, listed.split("\0")))


def working_tree(log: Callable[[str], None]) -> tuple[Path, frozenset[str]]:
    """Return the root of the current repository, and the files that it tracks itself; none outside of a repository.

    If git is missing or refuses to read the repository, log that, and return no files.
    """
    here = Path.cwd()
    if any((folder / ".git").exists() for folder in (here, *here.parents)):
        try:
            root = Path(git("rev-parse", "--show-toplevel", error="git cannot read the repository")).resolve()
            return root, frozenset(list_files(root, "ls-files"))
        except UsageError as error:
            log(f"{error}: installed packages are not compared with the working tree")
    return here, frozenset()


def commit_of(reference: str) -> str:
    """Resolve a revision to a commit hash. Raises `UsageError` if it does not exist."""
    if not reference.strip() or reference.endswith("/"):
        raise UsageError(
            f"--against {reference!r}: the branch name is missing; variables such as $GITHUB_BASE_REF are empty in "
            "builds that are not for a pull request"
        )
    is_shallow = git("rev-parse", "--is-shallow-repository", error="git cannot read the repository") == "true"
    hint = " in this shallow clone; fetch the whole history, or at least that revision" if is_shallow else ""
    return git(
        "rev-parse",
        "--verify",
        "--quiet",
        f"{reference}^{{commit}}",
        error=f"--against {reference}: no such revision{hint}",
    )
