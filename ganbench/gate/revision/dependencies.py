"""Find changed dependencies: both sides of a check share an environment, so it cannot measure their effect."""

from __future__ import annotations

import configparser
import re
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from ganbench.gate.decision.verdict import Finding, Verdict
from ganbench.results.differences import flatten

from .checkout import Revision

NAMES = (  # patterns of files that declare dependencies or lock their versions
    *("pyproject.toml", "setup.py", "setup.cfg"),
    *("*requirements*.txt", "*requirements*.in", "*constraints*.txt"),
    *("uv.lock", "poetry.lock", "pdm.lock", "pylock*.toml", "Pipfile", "Pipfile.lock"),
    *("environment*.yml", "environment*.yaml", "conda-lock.yml", "pixi.toml", "pixi.lock"),
)
FOLDERS = ("requirements", "constraints")  # of text files with such lists
IN_PYPROJECT = re.compile(r"dependenc|^build-system\.|requires-python|^tool\.uv\.")  # dotted keys
IN_SETUP_CFG = re.compile(r"require")  # sections and keys
COMMENT = re.compile(r"(^|\s)#.*")


def dependencies_finding(revision: Revision) -> Finding | None:
    """Return a warning if the working tree declares other dependencies than the revision; None if it does not."""
    changed = changed_declarations(revision)
    if not changed:
        return None
    return Finding(
        Verdict.WARNING,
        ("as installed", "as installed"),
        f"the declared dependencies differ from the revision's: {', '.join(changed)}. Both sides ran in the same "
        "environment, so the effect of that was not measured. To measure it, install the revision and its "
        "dependencies in another environment, together with ganbench, and use --against-python with its Python",
    )


def changed_declarations(revision: Revision) -> list[str]:
    """Return the files whose declarations of dependencies differ between the revision and the working tree."""
    return [
        name
        for name in sorted(filter(is_declaration, revision.tracked | revision.files))
        if declared(revision.folder / name) != declared(revision.repository / name)
    ]


def is_declaration(name: str) -> bool:
    path = PurePosixPath(name)
    in_folder = path.parent.name in FOLDERS and path.suffix in (".txt", ".in")
    return in_folder or any(fnmatchcase(path.name, pattern) for pattern in NAMES)


def declared(file: Path) -> Any:
    """Return what a file declares, without comments; of settings of a project, only those of its dependencies."""
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    try:
        if file.name == "pyproject.toml":
            return {key: value for key, value in flatten(tomllib.loads(text)).items() if IN_PYPROJECT.search(key)}
        if file.name == "setup.cfg":
            parser = configparser.RawConfigParser()
            parser.read_string(text)
            keys = [(section, key) for section in parser.sections() for key in parser[section]]
            return {key: parser[key[0]][key[1]] for key in keys if any(map(IN_SETUP_CFG.search, key))}
    except (tomllib.TOMLDecodeError, configparser.Error):
        pass  # invalid files are compared as text
    lines = [COMMENT.sub("", line).strip() for line in text.splitlines()]
    return [line for line in lines if line]
