"""Which cells of a suite are one job: with --seeds-at-once, those that differ only in their seed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ganbench.results.layout import is_run_directory
from ganbench.spec.seeds import AT_ONCE, may_train_at_once, with_seed

if TYPE_CHECKING:
    from .folder import SuiteFolder


def group_seeds(folder: SuiteFolder, cells: Iterable[str]) -> list[list[str]]:
    """Return the cells of each job, in their order. A run that has begun is resumed in a job of its own."""
    groups: list[list[str]] = []
    last: dict[str, list[str]] = {}  # the last group of each spec, without its seed
    for name in cells:
        cell = folder.cells[name]
        begun = is_run_directory(folder.run_directory(name))
        if begun or cell.processes > 1 or not may_train_at_once(cell.spec):
            groups.append([name])
            continue
        key = with_seed(cell.spec, 0).to_toml()
        group = last.get(key)
        if group is None or len(group) == AT_ONCE:
            group = last[key] = []
            groups.append(group)
        group.append(name)
    return groups
