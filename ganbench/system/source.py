"""Which code runs: hashes of a package's source, so that an edit is noticed where the version stays the same.

Imports nothing of ganbench: the gate also loads this file in processes that run another revision of ganbench.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

CODE_SUFFIXES = {
    ".py",
    ".so",
    ".pyd",
    ".c",
    ".cc",
    ".cpp",
    ".cu",
    ".cuh",
    ".h",
}  # Python, and what extensions are made of
INSTALLED = {"site-packages", "dist-packages"}
DIGITS = 16  # of a SHA-256, in hexadecimal


@cache
def source_hash(module: str) -> str:
    """The hash of a plugin's code: its top-level package, and every package in development that this one imports.

    What lies in site-packages counts as released, and its version identifies it; only the plugin's own package is
    hashed wherever it lies. ganbench itself is left out: it has a hash of its own.
    """
    files: dict[str, Path] = {}
    for root in source_roots(module).values():
        files |= code_files(root)
    return hash_files(files)


def source_roots(module: str) -> dict[str, Path]:
    """Where the code behind `source_hash` lies: a folder or a file for each top-level name."""
    name = module.partition(".")[0]
    root = find_root(name)
    if root is None:
        return {}
    roots = {name: root}
    unread = [root]
    while unread:
        for imported in sorted(imported_names(unread.pop())):
            found = find_root(imported) if imported not in roots and imported != "ganbench" else None
            if found is not None and not is_installed(found):
                roots[imported] = found
                unread.append(found)
    return roots


def find_root(name: str) -> Path | None:
    """The folder of a top-level package or the file of a module; None for what is built in or cannot be found."""
    if name in sys.stdlib_module_names:
        return None
    loaded = sys.modules.get(name)
    try:
        specification = loaded.__spec__ if loaded is not None else importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    if specification is None:
        return None
    if specification.submodule_search_locations:
        return Path(next(iter(specification.submodule_search_locations))).resolve()
    return Path(specification.origin).resolve() if specification.has_location and specification.origin else None


def is_installed(root: Path) -> bool:
    """Whether it lies where pip puts packages: neither an editable install nor a file of the user's."""
    return bool(INSTALLED & set(root.parts))


def imported_names(root: Path) -> set[str]:
    """The top-level names that the Python files below `root` import, wherever in them."""
    names: set[str] = set()
    for file in code_files(root).values():
        if file.suffix != ".py":
            continue
        try:
            tree = ast.parse(file.read_bytes())
        except (OSError, SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names.add(node.module.partition(".")[0])
    return names


def code_files(root: Path) -> dict[str, Path]:
    """The source files of a package or module, by their paths from where it is imported."""
    return {name: file for name, file in all_files(root).items() if file.suffix in CODE_SUFFIXES}


def all_files(root: Path) -> dict[str, Path]:
    """The files of a package or module, by the same paths, but without hidden files and Python's caches."""
    if root.is_file():
        return {root.name: root}
    found: dict[str, Path] = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name != "__pycache__" and not name.startswith(".")]
        for name in files:
            if not name.startswith("."):
                file = Path(folder, name)
                found[file.relative_to(root.parent).as_posix()] = file
    return found


def hash_files(files: Mapping[str, Path]) -> str:
    """A hash of the files' names and contents."""
    digest = hashlib.sha256()
    for name, file in sorted(files.items()):
        digest.update(f"{name}\0".encode())
        digest.update(content_hash(file))
    return digest.hexdigest()[:DIGITS]


def content_hash(file: Path) -> bytes:
    """The SHA-256 of a file; a constant for one that cannot be read, such as a broken link."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").digest()
    except OSError:
        return b"unreadable"
