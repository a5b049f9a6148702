"""What code and which other files a benchmark uses on one side of a check, with hashes.

`main.py` loads this file by its path, because the ganbench under test may have none; the parameter `source` is
`ganbench/system/source.py`, loaded likewise.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib.metadata import distributions, entry_points
from importlib.util import source_from_cache
from pathlib import Path
from typing import Any

Json = dict[str, Any]
PATHS = {"open": 1, "ctypes.dlopen": 1, "import": 2}  # position of the path in audit events; of "import", extensions'
METADATA = (".egg-info", ".dist-info")  # folders that builds leave beside packages, with nothing that a side runs


def describe_code(source: Any, spec: Any, registry: Any, request: Json) -> dict[str, Json]:
    """Return the location of ganbench and of the plugins in use, with hashes of their source and of all their files."""
    roots = packages_in_use(source, spec, registry, request)
    return {
        name: {
            "path": str(root),
            "source": source.hash_files(source.code_files(root)),
            "files": source.hash_files(source.all_files(root)),
        }
        for name, root in sorted(roots.items())
    }


def packages_in_use(source: Any, spec: Any, registry: Any, request: Json) -> dict[str, Path]:
    """Return the roots of ganbench, of plugins in the spec or from -p, and of their imports that are not installed."""
    providers = [choice.plugin.provider for choice in spec.plugin_configs()]
    if not Path(request["benchmark"]).is_file():
        named = registry.named(request["benchmark"])
        providers += [found.provider for found in named if found.plugin.kind == "benchmark"]
    files = [Path(plugin).resolve() for plugin in request["plugins"] if plugin.endswith(".py")]
    modules = [module_of(provider) for provider in providers if provider.distribution not in {f.name for f in files}]
    modules += [plugin for plugin in request["plugins"] if not plugin.endswith(".py")]
    tops = {module.partition(".")[0] for module in modules}
    found = {name: source.find_root(name) for name in sorted(tops)}
    roots = {name: root for name, root in found.items() if root is not None} | {file.name: file for file in files}
    unread = list(roots.values())
    while unread:
        for name in sorted(source.imported_names(unread.pop()) - roots.keys() - {"ganbench"}):
            root = source.find_root(name)
            if root is not None and (name in request["repository_packages"] or not source.is_installed(root)):
                roots[name] = root
                unread.append(root)
    return {"ganbench": source.find_root("ganbench"), **roots}


def module_of(provider: Any) -> str:
    """Return the module of a plugin; an earlier ganbench reported only the entry point."""
    if hasattr(provider, "module"):
        return str(provider.module)
    for point in entry_points(group="ganbench", name=provider.entry_point):
        if point.dist is None or point.dist.name == provider.distribution:
            return point.module
    return str(provider.entry_point)


def record_opened_files() -> set[str]:
    """Return a set to which the path of every file that this process opens or links from now on is added."""
    opened: set[str] = set()

    def record(event: str, arguments: Any) -> None:
        if position := PATHS.get(event):
            path = arguments[position - 1]
            if isinstance(path, str | bytes):
                opened.add(os.fsdecode(path))

    sys.addaudithook(record)
    return opened


def files_in_use(
    source: Any, opened: Iterable[str], code: Json, registry: Any, request: Json
) -> dict[Path, tuple[Path, str]]:
    """Return the files of the repository that were opened, or that the command line names.

    For each, return the checkout that has it, and its name there. Opened files include all modules, also those that a
    plugin imports by a computed name, which `describe_code` cannot see. Plugins that the benchmark does not use are
    imported too, but do not count.
    """
    named = {Path(plugin).resolve() for plugin in request["plugins"]}
    tops = {module_of(provider).partition(".")[0] for provider in registry.providers} - code.keys()
    unused = set(filter(None, map(source.find_root, tops))) - named
    temporary = [Path(folder).resolve() for folder in request["temporary"]]
    files = [*filter(Path.is_file, map(source_of, tuple(opened))), *map(Path, request["files"])]
    used = {}
    for path in {file.resolve() for file in files}:
        checkout = checkout_of(path, request)
        if checkout is None or not source.is_source(path, checkout) or any(map(path.is_relative_to, unused)):
            continue
        if any(path.is_relative_to(folder) and not checkout.is_relative_to(folder) for folder in temporary):
            continue
        name = path.relative_to(checkout)
        if ".git" not in name.parts and not any(part.endswith(METADATA) for part in name.parts):
            used[path] = (checkout, name.as_posix())
    return used


def checkout_of(path: Path, request: Json) -> Path | None:
    """Return the checkout that has a path, if any. That of base may lie in the working tree, and comes first."""
    return next((folder for folder in map(Path, request["checkouts"]) if path.is_relative_to(folder)), None)


def hash_used(source: Any, used: dict[Path, tuple[Path, str]]) -> dict[str, str]:
    """Return the hashes of the files of `files_in_use`, by name."""
    return {f"./{name}": source.hash_files(source.all_files(path)) for path, (_, name) in used.items()}


def foreign_code(source: Any, used: dict[Path, tuple[Path, str]], own: Path | None) -> list[str]:
    """Return the files of `files_in_use` that are code, but not in the checkout `own`.

    Hidden folders are left out, because they are caches, and so are modules that `own` lacks: those of a plugin that
    only the other side has, and that this side imports with all others. The gate's own files run on both sides.
    """
    gate = Path(__file__).resolve().parent
    return sorted(
        str(path)
        for path, (checkout, name) in used.items()
        if checkout != own
        and is_code(source, path.name)
        and "/." not in f"/{name}"
        and path.parent != gate
        and not (path.suffix == ".py" and own is not None and not (own / name).exists())
    )


def installed_distributions(source: Any, request: Json) -> list[str]:
    """Return where the metadata of all distributions is, sorted, except what builds left in the repository."""
    paths = (Path(str(getattr(found, "_path", found))).resolve() for found in distributions())
    checkouts = [Path(folder) for folder in request["checkouts"]]
    return sorted(str(path) for path in paths if not any(source.is_source(path, folder) for folder in checkouts))


def is_code(source: Any, opened: str) -> bool:
    """Return whether an opened file is Python, a library, or what libraries are built from."""
    return source_of(opened).suffix in source.CODE_SUFFIXES


def source_of(opened: str) -> Path:
    """Return the path of an opened file, or that of the source if it is Python's cached bytecode."""
    try:
        return Path(source_from_cache(opened)) if opened.endswith(".pyc") else Path(opened)
    except ValueError:  # bytecode that is not in a cache
        return Path(opened)
