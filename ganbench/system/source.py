"""Hashes of a package's source code, which detect edits that leave the version unchanged.

Imports nothing from ganbench: the gate also loads this file in processes that run another revision of ganbench.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import re
import struct
import sys
from collections.abc import Mapping
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import NamedTuple

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


class Examined(NamedTuple):
    """The code of a plugin, examined when its hash was first asked for in a run."""

    hash: str
    loaded: dict[str, ModuleSpec]  # of the modules that this process had imported, by name
    edited: Path | None  # one of their files that was edited after the import

    def is_current(self) -> bool:
        """Return whether the same modules are still loaded: none was reloaded, as notebooks do after an edit."""
        return all(getattr(sys.modules.get(name), "__spec__", None) is spec for name, spec in self.loaded.items())


EXAMINED: dict[str, Examined] = {}  # by module
IMPORTED: dict[str, tuple[ModuleSpec, bytes]] = {}  # by module: its import, and the hash of the file then


def examine_anew() -> None:
    """Examine the code of plugins again, as for another run in a notebook: an edit in between must not go unnoticed.

    ganbench itself keeps its hash, which is that of the code that runs.
    """
    for module in EXAMINED.keys() - {"ganbench"}:
        del EXAMINED[module]


def source_hash(module: str) -> str:
    """Return the hash of a plugin's code: its top-level package and every package in development that it imports.

    Packages in site-packages count as released and are identified by their version; the plugin's own package is hashed
    wherever it is. ganbench itself is excluded, because it has its own hash. Later edits do not change the hash until
    `examine_anew` is called, unless the code is reloaded.
    """
    return examine(module).hash


def edited_file(module: str) -> Path | None:
    """Return a file of this code that was edited between its import and its examination, if any.

    The code that runs is then not the code that was hashed.
    """
    return examine(module).edited


def examine(module: str) -> Examined:
    known = EXAMINED.get(module)
    if known is None or not known.is_current():
        files: dict[str, Path] = {}
        names: set[str] = set()
        for name, root in source_roots(module).items():
            own = code_files(root)
            files |= own
            names |= {name, *(module_name(file) for file in own)}
        specifications = {name: getattr(sys.modules.get(name), "__spec__", None) for name in sorted(names)}
        loaded = {name: each for name, each in specifications.items() if isinstance(each, ModuleSpec)}
        edited = [Path(str(each.origin)) for name, each in loaded.items() if is_edited(name, each)]
        known = EXAMINED[module] = Examined(hash_files(files), loaded, next(iter(edited), None))
    return known


def module_name(file: str) -> str:
    """Return the name of the module of a file, whose path is relative to its import root: "a.b" of "a/b.py"."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def is_edited(name: str, specification: ModuleSpec) -> bool:
    """Return whether the file of a module was edited after its import.

    Its content when it was first examined decides, as another process may have compiled an edited file since.
    """
    content = content_hash(Path(str(specification.origin)))
    imported, first = IMPORTED.get(name, (None, b""))
    if imported is specification:
        return content != first
    if is_newer_than_compiled(specification):
        return True
    IMPORTED[name] = specification, content
    return False


def is_newer_than_compiled(specification: ModuleSpec) -> bool:
    """Return whether the file of a module was edited after it was compiled, which was before its import.

    Python keeps the time and the size of the file with the compiled code. Returns False if it does not write that.
    """
    if type(specification.loader) is not SourceFileLoader or not (specification.cached and specification.origin):
        return False
    cached, origin = Path(specification.cached), Path(specification.origin)
    if sys.dont_write_bytecode or not os.access(cached.parent, os.W_OK):
        return False
    try:
        _, flags, time, size = struct.unpack("<4I", cached.read_bytes()[:16])
        now = origin.stat()
    except (OSError, struct.error):
        return False
    return flags == 0 and (time, size) != (int(now.st_mtime) & 0xFFFFFFFF, now.st_size & 0xFFFFFFFF)


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
