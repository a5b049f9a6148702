"""Determine which code of a repository is under test, and verify that each side runs its own.

An editable install imports from the working tree; any other install has a copy in site-packages, which both sides would
share. Therefore each side imports the repository's part of ganbench and its plugins from its own checkout, and each
session reports where its code came from.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import distributions
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ganbench.errors import NotComparableError
from ganbench.gate.side import CURRENT_CODE, Code, SessionConfig, Side
from ganbench.plugin.installed import installed_plugins
from ganbench.plugin.registry import ENTRY_POINT_GROUP
from ganbench.system import source
from ganbench.system.source import is_source

from .checkout import Revision, working_tree

# of extension modules that belong to a build of the package, which base cannot have
BUILT_SUFFIXES = tuple(suffix for suffix in EXTENSION_SUFFIXES if suffix.count(".") > 1)
# of all libraries; if a plugin compiles one when it is imported, base has its own as soon as it has run
LIBRARY_SUFFIXES = (".so", ".pyd")
GENERATED = {"_version.py"}  # tracked by some, but rewritten by each build
VERSION = re.compile(rb"^[ \t]*_*version_*[ \t]*[:=].*$", re.MULTILINE | re.IGNORECASE)  # builds may write it, too


class UnderTest:
    """The modules that both sides of a check against a revision import from the repository."""

    def __init__(self, revision: Revision, config: SessionConfig) -> None:
        self.revision = revision
        named = [plugin for plugin in config.plugins if not plugin.endswith(".py")]
        points = [provider.module for provider, _ in installed_plugins(ENTRY_POINT_GROUP)[0]]
        self.repository_packages: set[str] = set()  # top-level names
        head, base = [], []
        for module in dict.fromkeys(["ganbench.cli", *points, *named, *installed_from(revision.repository)]):
            in_head, in_base = roots_of(module, revision.tracked), roots_of(module, revision.files)
            imported = self._imported_from(module)
            if in_head or in_base or imported is not None:
                self.repository_packages.add(module.partition(".")[0])
            head.append(imported if imported is not None else only(in_head))
            base.append(imported if imported in in_base else only(in_base))
        self.head = self._python_path(revision.repository, head)
        self.base = self._python_path(revision.folder, base)

    def _imported_from(self, module: str) -> str | None:
        """Return the folder of the repository from which this Python imports a module, if any."""
        root = source.find_root(module.partition(".")[0])
        if root is None or not is_source(root, self.revision.repository):
            return None
        return root.parent.relative_to(self.revision.repository).as_posix()

    def _python_path(self, folder: Path, roots: Iterable[str | None]) -> tuple[Path, ...]:
        """Return the import path of a side: its own roots, then those of this Python, mapped to the side."""
        repository = self.revision.repository
        paths = [folder / root for root in roots if root is not None]
        configured = [Path(entry).resolve() for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
        within = [Path(entry).resolve() for entry in sys.path if entry and Path(entry).is_dir()]
        for path in [*(path for path in within if is_source(path, repository)), *configured]:
            paths.append(folder / path.relative_to(repository) if is_source(path, repository) else path)
        return tuple(dict.fromkeys(paths))

    def require_base_code(self, code: Mapping[str, Code]) -> None:
        """Raise `NotComparableError` if base ran code that is not from the revision, or without a library of head."""
        self._require_own("the revision", self.revision.folder, self.revision.repository, code)
        for imported in code.values():
            if is_source(path := Path(imported.path), self.revision.folder):
                self._require_built(self.revision.repository / path.relative_to(self.revision.folder), LIBRARY_SUFFIXES)

    def require_head_code(self, code: Mapping[str, Code]) -> None:
        """Raise `NotComparableError` if head ran code that is not from the working tree, or that base cannot have."""
        self._require_own("the working tree", self.revision.repository, self.revision.folder, code)
        for imported in code.values():
            if is_source(path := Path(imported.path), self.revision.repository):
                self._require_built(path, BUILT_SUFFIXES)

    def _require_own(self, side: str, folder: Path, other_folder: Path, code: Mapping[str, Code]) -> None:
        for name, imported in code.items():
            path = Path(imported.path)
            if not is_source(path, folder) and (name in self.repository_packages or is_source(path, other_folder)):
                raise NotComparableError(
                    f"{side} would not run its own code: {name} comes from {path}, not from the source files in "
                    f"{folder}. Install the repository in editable mode (pip install -e {self.revision.repository}). "
                    f"If the revision has no {name} there, install it into a separate environment and use "
                    "--against-python"
                )

    def _require_built(self, root: Path, suffixes: tuple[str, ...]) -> None:
        """Raise `NotComparableError` if a package of head has untracked files of these suffixes that base lacks."""
        for file in source.code_files(root).values():
            name = file.relative_to(self.revision.repository).as_posix()
            untracked = name.endswith(suffixes) and name not in self.revision.tracked
            if untracked and not (self.revision.folder / name).exists():
                raise NotComparableError(
                    f"{name} is built from source, and the revision would run without it: install the revision into a "
                    "separate environment, and use --against-python"
                )

    def require_repository_code(self, code: Mapping[str, Code], files: Iterable[Path]) -> None:
        """Raise `NotComparableError` if the benchmark uses nothing from the repository.

        Both sides would then be identical, and pass.
        """
        used = [*(Path(imported.path) for imported in code.values()), *files]
        repository = self.revision.repository
        if not any(is_source(path, repository) for path in used):
            listed = ", ".join(f"{name} from {imported.path}" for name, imported in code.items())
            raise NotComparableError(
                f"nothing that this benchmark uses comes from {repository} ({listed}): check a benchmark that uses the "
                "repository's plugins, or pass a TOML file or plugin (-p) in the repository"
            )


def roots_of(module: str, files: Iterable[str]) -> list[str]:
    """Return the folders of `files` from which a module could be imported, sorted."""
    path = module.replace(".", "/")
    found = []
    for ending in (f"{path}.py", f"{path}/__init__.py"):
        for name in files:
            if name == ending or name.endswith(f"/{ending}"):
                root = name.removesuffix(ending).rstrip("/") or "."
                if not source.INSTALLED & set(root.split("/")):
                    found.append(root)
    return sorted(found)


def only(roots: list[str]) -> str | None:
    """Return the only root; None if there are several, because only an editable install can decide."""
    return roots[0] if len(roots) == 1 else None


def installed_from(repository: Path) -> list[str]:
    """Return the top-level names of distributions installed from the repository, according to pip (PEP 610)."""
    names: list[str] = []
    for distribution in distributions():
        record = distribution.read_text("direct_url.json")
        url = urlsplit(json.loads(record)["url"]) if record else None
        if url and url.scheme == "file" and Path(unquote(url.path)).resolve().is_relative_to(repository):
            # if editable, its files may be only a finder; setuptools lists the packages for that
            tops = {file.parts[0].removesuffix(".py") for file in distribution.files or [] if file.suffix == ".py"}
            tops.update((distribution.read_text("top_level.txt") or "").split())
            names += sorted(filter(str.isidentifier, tops))
    return names


def current_side(log: Callable[[str], None]) -> Side:
    """Return the side that is compared with baselines: what this Python runs."""
    return Side(CURRENT_CODE, require_own=require_up_to_date(log))


def require_up_to_date(log: Callable[[str], None]) -> Callable[[Mapping[str, Code]], None]:
    """Return a function that raises `NotComparableError` for installed code that differs from the working tree's.

    Code that the current git repository does not track is accepted, and outside of a repository, all code is.
    """
    repository, tracked = working_tree(log)

    def require(code: Mapping[str, Code]) -> None:
        for name, imported in code.items():
            path = Path(imported.path)
            roots = roots_of(path.stem, tracked) if source.is_installed(path) else []
            stale = [differing_file(path, repository, root, tracked) for root in roots]
            if stale and all(stale):
                raise NotComparableError(
                    f"an outdated copy of {name} would be measured, not the working tree: {stale[0]} is different in "
                    f"{path.parent}. Install the repository again, best in editable mode (pip install -e {repository})"
                )

    return require


def differing_file(installed: Path, repository: Path, root: str, tracked: Collection[str]) -> str | None:
    """Return a tracked file below `root` of which an installed package or module has another version, if any."""
    for name, file in source.code_files(installed).items():
        original = f"{root}/{name}".removeprefix("./")
        is_original = original in tracked and file.name not in GENERATED
        if is_original and without_version(file) != without_version(repository / original):
            return original
    return None


def without_version(file: Path) -> bytes:
    """Return the content of a file without the lines that set a version; nothing if it is missing."""
    return VERSION.sub(b"", file.read_bytes()) if file.is_file() else b""
