"""Which code of a repository is under test, and the proof that each side ran its own.

An editable install leads into the working tree; any other has copied the code into site-packages, where it would be the
same for both sides. So whatever the repository holds of ganbench and of its plugins is imported from the checkout of
each side, and each session reports where its code came from.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import distributions
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ganbench.errors import NotComparableError
from ganbench.plugin.installed import installed_plugins
from ganbench.plugin.registry import ENTRY_POINT_GROUP
from ganbench.system import source

from .revision import Revision
from .side import Code, Measurement


def is_source(path: Path, folder: Path) -> bool:
    """Whether it is one of the folder's own files, and not of a virtual environment in it."""
    if not path.is_relative_to(folder) or source.INSTALLED & set(path.relative_to(folder).parts):
        return False
    environment = Path(sys.prefix).resolve()
    return not (environment.is_relative_to(folder) and path.is_relative_to(environment))


class UnderTest:
    """What both sides of a check against a revision import from the repository."""

    def __init__(self, revision: Revision, measurement: Measurement) -> None:
        self.revision = revision
        named = [plugin for plugin in measurement.plugins if not plugin.endswith(".py")]
        points = [provider.module for provider, _ in installed_plugins(ENTRY_POINT_GROUP)[0]]
        self.held: set[str] = set()  # the top-level names that the repository has
        head, base = [], []
        for module in dict.fromkeys(["ganbench.cli", *points, *named, *installed_from(revision.repository)]):
            in_head, in_base = roots_of(module, revision.tracked), roots_of(module, revision.files)
            imported = self._imported_from(module)
            if in_head or in_base or imported is not None:
                self.held.add(module.partition(".")[0])
            head.append(imported if imported is not None else only(in_head))
            base.append(imported if imported in in_base else only(in_base))
        self.head = self._python_path(revision.repository, head)
        self.base = self._python_path(revision.folder, base)

    def _imported_from(self, module: str) -> str | None:
        """The folder of the repository from which this Python imports the module, if it does."""
        root = source.find_root(module.partition(".")[0])
        if root is None or not is_source(root, self.revision.repository):
            return None
        return root.parent.relative_to(self.revision.repository).as_posix()

    def _python_path(self, folder: Path, roots: Iterable[str | None]) -> tuple[Path, ...]:
        """What a side imports from first: its own roots, then wherever this Python imports from in the repository."""
        repository = self.revision.repository
        paths = [folder / root for root in roots if root is not None]
        configured = [Path(entry).resolve() for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
        within = [Path(entry).resolve() for entry in sys.path if entry and Path(entry).is_dir()]
        for path in [*(path for path in within if is_source(path, repository)), *configured]:
            paths.append(folder / path.relative_to(repository) if is_source(path, repository) else path)
        return tuple(dict.fromkeys(paths))

    def need_of_base(self, code: Mapping[str, Code]) -> None:
        """Raise `NotComparableError` where base ran code that is not the revision's."""
        self._need_own("the revision", self.revision.folder, self.revision.repository, code)

    def need_of_head(self, code: Mapping[str, Code]) -> None:
        """Raise `NotComparableError` where head ran code that is not the working tree's."""
        self._need_own("the working tree", self.revision.repository, self.revision.folder, code)

    def _need_own(self, side: str, folder: Path, others: Path, code: Mapping[str, Code]) -> None:
        for name, imported in code.items():
            path = Path(imported.path)
            if not is_source(path, folder) and (name in self.held or is_source(path, others)):
                raise NotComparableError(
                    f"{side} would not be measured with its own code: {name} comes from {path}, not from the "
                    f"source files in {folder}. "
                    f"Install the repository in editable form (pip install -e {self.revision.repository}); a revision "
                    f"that has no {name} there can be installed into an environment of its own, for --against-python"
                )

    def need_something(self, code: Mapping[str, Code], files: Iterable[Path]) -> None:
        """Raise `NotComparableError` if nothing that the benchmark uses is the repository's: both sides would be one
        and the same, and pass."""
        used = [*(Path(imported.path) for imported in code.values()), *files]
        repository = self.revision.repository
        if not any(is_source(path, repository) for path in used):
            listed = ", ".join(f"{name} from {imported.path}" for name, imported in code.items())
            raise NotComparableError(
                f"nothing that this benchmark uses comes from {repository} ({listed}): check a benchmark that uses the "
                "repository's plugins, or name a benchmark's TOML file or a plugin (-p) in it"
            )


def roots_of(module: str, files: Iterable[str]) -> list[str]:
    """The folders, among those of the files, from which the module could be imported; "." is the first."""
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
    """The one root there is. Of several, only an editable install tells which is meant."""
    return roots[0] if len(roots) == 1 else None


def installed_from(repository: Path) -> list[str]:
    """The top-level names of distributions that pip has installed from the repository, by its own record (PEP 610)."""
    names: list[str] = []
    for distribution in distributions():
        record = distribution.read_text("direct_url.json")
        url = urlsplit(json.loads(record)["url"]) if record else None
        if url and url.scheme == "file" and Path(unquote(url.path)).resolve().is_relative_to(repository):
            tops = {file.parts[0] for file in distribution.files or [] if file.suffix == ".py"}
            names += sorted(top.removesuffix(".py") for top in tops if top.removesuffix(".py").isidentifier())
    return names
