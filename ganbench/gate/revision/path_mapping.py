"""Map paths on the command line and in TOML files to each side of a check against a revision.

Base uses the revision's version of code, benchmarks and data that git tracks. Other files, such as data that is outside
of the repository or ignored by git, are the same for both sides.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ganbench.errors import MissingError
from ganbench.gate.side import SessionConfig
from ganbench.results.differences import flatten
from ganbench.system.files import exists, is_file, named_data_dir

from .checkout import Revision

CODE_SUFFIXES = (".py", ".toml")  # of plugins and benchmarks that are given by file, which may be missing


class PathMapping:
    """Maps the paths in a session's configuration to one side."""

    def __init__(self, revision: Revision, non_paths: frozenset[str]) -> None:
        """`non_paths` are plugin names and other values that are not paths, even if a file has that name."""
        self.revision = revision
        self.non_paths = non_paths
        self.head_folder = Path.cwd()
        in_base = revision.locate(self.head_folder)
        self.base_folder = in_base if in_base.is_dir() else revision.folder

    def head(self, config: SessionConfig) -> SessionConfig:
        return self._map(config, in_base=False)

    def base(self, config: SessionConfig) -> SessionConfig:
        return self._map(config, in_base=True)

    def require_in_base(self, config: SessionConfig) -> None:
        """Raise `MissingError` if the revision lacks a plugin or benchmark that is given by file."""
        for name in (config.benchmark, *config.plugins):
            if self._is_code(name) and not exists(Path(self._map_code(name, in_base=True))):
                raise MissingError(
                    f"revision {self.revision.commit[:9]} has no {name}, so there is nothing to compare it with; give "
                    "a revision that has it, or a file outside of the repository, which both sides share"
                )

    def link_untracked_data(self, config: SessionConfig) -> None:
        """Let data folders that git tracks in part have the same untracked files in the checkout."""
        mapped = self.base(config)
        for path in (*mapped.files, *filter(None, [mapped.data_dir])):
            if path.is_dir() and path.is_relative_to(self.revision.folder):
                self.revision.link_untracked(path)

    def _map(self, config: SessionConfig, in_base: bool) -> SessionConfig:
        benchmark, files = self._map_code(config.benchmark, in_base), dict[Path, None]()
        given = [text.partition("=")[0].strip().removesuffix(".name") for text in config.overrides]
        overrides = [
            f"{path}={to_inline_toml(value)}"
            for path, before in read_values(benchmark)
            if not any(path == other or path.startswith(f"{other}.") for other in given)
            if (value := self._map_value(before, in_base, files)) != before
        ]
        for text in config.overrides:
            path, _, raw = text.partition("=")
            value = self._map_value(before := parse_value(raw.strip()), in_base, files)
            overrides.append(text if value == before else f"{path}={to_inline_toml(value)}")
        data_dir = named_data_dir(config.data_dir)
        return replace(
            config,
            benchmark=benchmark,
            plugins=[self._map_code(plugin, in_base) for plugin in config.plugins],
            overrides=overrides,
            data_dir=(self.revision.locate_data(data_dir) if in_base else data_dir) if data_dir else None,
            files=tuple(files),
        )

    def _is_code(self, name: str) -> bool:
        """Return whether a plugin or benchmark is given by file, with any suffix, rather than by name."""
        return name.lower().endswith(CODE_SUFFIXES) or (name not in self.non_paths and is_file(Path(name)))

    def _map_code(self, name: str, in_base: bool) -> str:
        if not self._is_code(name):
            return name
        path = Path(name).resolve()
        return str(self.revision.locate(path) if in_base else path)

    def _map_value(self, value: Any, in_base: bool, files: dict[Path, None]) -> Any:
        """Map the paths in a value to one side, and add the tracked files that it names to `files`.

        A path that already resolves to the right file from each side's folder is left as written.
        """
        if isinstance(value, list):
            return [self._map_value(item, in_base, files) for item in value]
        if isinstance(value, dict):
            return {key: self._map_value(item, in_base, files) for key, item in value.items()}
        if not isinstance(value, str) or not value or value in self.non_paths or not os.path.exists(value):  # noqa: PTH110 - for any text
            return value
        head_path = Path(value).resolve()
        base_path = self.revision.locate_data(head_path)
        if base_path != head_path:
            files[base_path if in_base else head_path] = None
        if (self.head_folder / value).resolve() == head_path and (self.base_folder / value).resolve() == base_path:
            return value
        return str(base_path if in_base else head_path)

    def files_of(self, config: SessionConfig) -> Iterable[Path]:
        """Return the files of the repository that the command line names, in head."""
        config = self.head(config)
        return [
            *config.files,
            *(Path(name) for name in (config.benchmark, *config.plugins) if self._is_code(name)),
        ]


def read_values(benchmark: str) -> Iterator[tuple[str, Any]]:
    """Yield the values in a benchmark's file with their dotted paths, except names; none if it is given by name."""
    if not Path(benchmark).is_absolute():
        return
    try:
        data = tomllib.loads(Path(benchmark).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):  # the session reports it
        return
    for path, value in flatten(data).items():
        if path != "summary" and path.rpartition(".")[2] != "name":
            yield path, value


def parse_value(raw: str) -> Any:
    """Parse the value of an override as TOML; return the text if it is not TOML."""
    try:
        table = tomllib.loads(f"value = {raw}")
    except (ValueError, RecursionError):
        return raw
    return table["value"] if table.keys() == {"value"} else raw


def to_inline_toml(value: Any) -> str:
    """Format a value as TOML on one line."""
    if isinstance(value, list):
        return f"[{', '.join(map(to_inline_toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{to_inline_toml(key)} = {to_inline_toml(item)}' for key, item in value.items())}}}"
    # TOML has no surrogate pairs, with which JSON escapes emoji
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else str(value)
