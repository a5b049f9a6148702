"""What code and which other files a benchmark uses on one side of a check, with hashes.

`worker.py` loads this file by its path, because the ganbench under test may have none; the parameter `source` is
`ganbench/system/source.py`, loaded likewise.
"""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

Json = dict[str, Any]


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
    if not request["benchmark"].endswith(".toml"):
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
    for point in entry_points(group="ganbench", name=provider.entry_point):
        if point.dist is None or point.dist.name == provider.distribution:
            return point.module
    return getattr(provider, "module", provider.entry_point)


def files_in_checkouts(source: Any, paths: set[str], request: Json) -> dict[str, str]:
    """Return the hashes of files and folders in the repository, except code, which is hashed by package."""
    hashes = {}
    for path in map(Path, paths):
        for checkout in request["checkouts"]:
            if path.resolve().is_relative_to(checkout) and path.suffix not in (".py", ".pyc"):
                name = path.resolve().relative_to(checkout)
                installed = path.resolve().is_relative_to(sys.prefix) or source.INSTALLED & set(name.parts)
                if not installed and ".git" not in name.parts:
                    hashes[name.as_posix()] = source.hash_files(source.all_files(path))
                break
    return hashes
