"""Hashes of a package's source code, which detect edits that leave the version unchanged.

Imports nothing from ganbench: the gate also loads this file in processes that run another revision of ganbench.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

CODE_SUFFIXES = {
    ".py",
    *(".so", ".pyd", ".dll", ".dylib"),
    *(".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".hxx", ".inl"),
    *(".cu", ".cuh", ".hip", ".metal", ".mm", ".ptx", ".pyx", ".pxd"),
}  # Python, and what extension modules are or are built from
# a statement begins a line, or follows a colon or a semicolon; a relative import names no package
IMPORT = re.compile(r"(?:^|[;:])[ \t\f]*(?:from[ \t\f]+(\w+)|import[ \t\f]+([^\n;#]+))", re.MULTILINE)
INSTALLED = {"site-packages", "dist-packages"}
DIGITS = 16  # hexadecimal digits kept of a SHA-256 hash


@cache
def source_hash(module: str) -> str:
    """Return the hash of a plugin's code: its top-level package and every package in development that it imports.

    Packages in site-packages count as released and are identified by their version; the plugin's own package is hashed
    wherever it is. ganbench itself is excluded, because it has its own hash.
    """
    files: dict[str, Path] = {}
    for root in source_roots(module).values():
        files |= code_files(root)
    return hash_files(files)


def source_roots(module: str) -> dict[str, Path]:
    """Return the code that `source_hash` covers: a folder or file for each top-level name."""
    name = module.partition(".")[0]
    root = find_root(name)
    if root is None:
        return {}
    roots = {name: root}
    looked_up: dict[str, Path | None] = {}

    def in_development(name: str) -> Path | None:
        if name not in looked_up:
            found = find_root(name) if name != "ganbench" else None
            looked_up[name] = None if found is None or is_installed(found) else found
        return looked_up[name]

    pending = [root]
    while pending:
        for file in code_files(pending.pop()).values():
            # parsing every file would take half a second in each process
            if not any(in_development(name) for name in possible_imports(file) - roots.keys()):
                continue
            for imported in sorted(imported_names(file) - roots.keys()):
                if found := in_development(imported):
                    roots[imported] = found
                    pending.append(found)
    return roots


def find_root(name: str) -> Path | None:
    """Return the folder of a top-level package or the file of a module; None if it is built in or not found."""
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
    """Return whether pip installed it: it is neither an editable install nor a file of the user."""
    return bool(INSTALLED & set(root.parts))


def is_source(path: Path, folder: Path) -> bool:
    """Return whether `path` is in `folder`, but not in a Python environment there."""
    if not path.is_relative_to(folder) or INSTALLED & set(path.relative_to(folder).parts):
        return False
    environments = (Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix))
    return not any(each.is_relative_to(folder) and path.is_relative_to(each) for each in environments)


def possible_imports(file: Path) -> set[str]:
    """Return all top-level names that a Python file can import, and others that look as if it did."""
    if file.suffix != ".py":
        return set()
    try:
        text = file.read_text(encoding="utf-8", errors="replace").replace("\\\n", " ")
    except OSError:
        return set()
    return {name for package, packages in IMPORT.findall(text) for name in re.findall(r"\w+", package or packages)}


def imported_names(root: Path) -> set[str]:
    """Return the top-level names that the Python files under `root` import, in any scope."""
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
    """Return the source files of a package or module, keyed by path relative to its import root."""
    return {name: file for name, file in all_files(root).items() if file.suffix in CODE_SUFFIXES}


def all_files(root: Path) -> dict[str, Path]:
    """Return all files of a package or module, keyed as in `code_files`, except hidden files and Python's caches."""
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
    """Return a hash of the files' names and contents."""
    digest = hashlib.sha256()
    for name, file in sorted(files.items()):
        digest.update(f"{name}\0".encode(errors="surrogateescape"))  # as the names of files may not be UTF-8
        digest.update(content_hash(file))
    return digest.hexdigest()[:DIGITS]


def content_hash(file: Path) -> bytes:
    """Return the SHA-256 digest of a file; a constant if it cannot be read, such as a broken link."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").digest()
    except OSError:
        return b"unreadable"
