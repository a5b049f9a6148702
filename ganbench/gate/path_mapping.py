"""Paths on the command line and in benchmarks' TOML files, as each side of a check against a revision has them.

Code, benchmarks and data that git tracks are the revision's own in base. Whatever else a path leads to, such as data
outside of the repository or ignored by git, is the same for both sides.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ganbench.results.differences import flatten

from .revision import Revision
from .side import Measurement


class Localized:
    """Makes a measurement one side's own."""

    def __init__(self, revision: Revision, words: frozenset[str]) -> None:
        """`words` are names of plugins and other values that are no paths, even where a file is called so."""
        self.revision = revision
        self.words = words
        self.stands = Path.cwd()
        in_base = revision.of(self.stands)
        self.base_stands = in_base if in_base.is_dir() else revision.folder

    def head(self, measurement: Measurement) -> Measurement:
        return self._localized(measurement, in_base=False)

    def base(self, measurement: Measurement) -> Measurement:
        return self._localized(measurement, in_base=True)

    def _localized(self, measurement: Measurement, in_base: bool) -> Measurement:
        def code(name: str) -> str:
            path = Path(name).resolve()
            return str(self.revision.of(path) if in_base else path) if name.endswith((".py", ".toml")) else name

        benchmark, files = code(measurement.benchmark), dict[Path, None]()
        given = [text.partition("=")[0].strip().removesuffix(".name") for text in measurement.overrides]
        overrides = [
            f"{path}={inline(value)}"
            for path, before in values_in(benchmark)
            if not any(path == other or path.startswith(f"{other}.") for other in given)
            if (value := self._value(before, in_base, files)) != before
        ]
        for text in measurement.overrides:
            path, _, raw = text.partition("=")
            value = self._value(before := parsed(raw.strip()), in_base, files)
            overrides.append(text if value == before else f"{path}={inline(value)}")
        data_dir = measurement.data_dir or (os.environ.get("GANBENCH_DATA") and Path(os.environ["GANBENCH_DATA"]))
        return replace(
            measurement,
            benchmark=benchmark,
            plugins=[code(plugin) for plugin in measurement.plugins],
            overrides=overrides,
            data_dir=(self.revision.of_data(data_dir) if in_base else data_dir) if data_dir else None,
            files=tuple(files),
        )

    def _value(self, value: Any, in_base: bool, files: dict[Path, None]) -> Any:
        """The value with the paths in it as a side has them; tracked files that it names are added to `files`.

        Where a path, as it is written, leads each side to its own file, it is left alone.
        """
        if isinstance(value, list):
            return [self._value(item, in_base, files) for item in value]
        if isinstance(value, dict):
            return {key: self._value(item, in_base, files) for key, item in value.items()}
        if not isinstance(value, str) or not value or value in self.words or not os.path.exists(value):  # noqa: PTH110 - for any text
            return value
        of_head = Path(value).resolve()
        of_base = self.revision.of_data(of_head)
        if of_base != of_head:
            files[of_base if in_base else of_head] = None
        if (self.stands / value).resolve() == of_head and (self.base_stands / value).resolve() == of_base:
            return value
        return str(of_base if in_base else of_head)

    def files_of(self, measurement: Measurement) -> Iterable[Path]:
        """The repository's files that the command line names, as head has them."""
        here = self.head(measurement)
        return [
            *here.files,
            *(Path(name) for name in (here.benchmark, *here.plugins) if name.endswith((".py", ".toml"))),
        ]


def values_in(benchmark: str) -> Iterator[tuple[str, Any]]:
    """The values in a benchmark's TOML file, by their paths, but for the names in it."""
    if not benchmark.endswith(".toml"):
        return
    try:
        data = tomllib.loads(Path(benchmark).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):  # the session says so
        return
    for path, value in flatten(data).items():
        if path != "summary" and path.rpartition(".")[2] != "name":
            yield path, value


def parsed(raw: str) -> Any:
    """The value of an override: TOML, or else the text itself."""
    try:
        found = tomllib.loads(f"value = {raw}")
    except (ValueError, RecursionError):
        return raw
    return found["value"] if found.keys() == {"value"} else raw


def inline(value: Any) -> str:
    """A value as TOML on one line."""
    if isinstance(value, list):
        return f"[{', '.join(map(inline, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)} = {inline(item)}' for key, item in value.items())}}}"
    return json.dumps(value) if isinstance(value, str | bool) else str(value)
