"""Gives each worker process its own copy of a split, with open files of its own.

A forked worker inherits the open files of its parent, and all processes share the position in such a file: if two of
them read at once, each may get the record of the other. A copy by pickle opens its files itself.
"""

from __future__ import annotations

import io
import pickle
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import get_worker_info

from ganbench.errors import PluginError, describe

from .contract import CheckedSplit

# not copied: data that may be large and has no position in a file, and code, which pickle may not find by name
SHARED = (Tensor, np.ndarray, bytes, FunctionType, BuiltinFunctionType, ModuleType, type)


class SharingPickler(pickle.Pickler):
    """Pickles an object except for its parts that copies share, which are kept in `shared`."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.shared: list[Any] = []

    def persistent_id(self, part: Any) -> int | None:
        if not isinstance(part, SHARED):
            return None
        self.shared.append(part)
        return len(self.shared) - 1


class SharingUnpickler(pickle.Unpickler):
    def __init__(self, content: bytes, shared: list[Any]) -> None:
        super().__init__(io.BytesIO(content))
        self.shared = shared

    def persistent_load(self, index: int) -> Any:
        return self.shared[index]


class WorkerCopies:
    """Replaces the split of each worker of a `DataLoader` by a copy; called in the worker.

    The split is pickled only once, as workers start anew for each epoch.
    """

    def __init__(self, checked: CheckedSplit) -> None:
        """Raise `PluginError` if the split cannot be copied."""
        file = io.BytesIO()
        pickler = SharingPickler(file)
        try:
            pickler.dump(checked.split)
            self.content, self.shared = file.getvalue(), pickler.shared
            self._copy()  # here rather than first in a worker, whose error would not name the dataset
        except Exception as error:
            raise PluginError(
                f"{checked.plugin}: the {checked.name} split cannot be copied into worker processes: "
                f"{describe(error)}. If it holds an open file, drop the file in __getstate__ and reopen it on reading; "
                "otherwise, set -o data.workers=0"
            ) from error

    def _copy(self) -> Any:
        return SharingUnpickler(self.content, self.shared).load()

    def __call__(self, worker_id: int) -> None:
        info = get_worker_info()
        assert info is not None
        assert isinstance(info.dataset, CheckedSplit)
        info.dataset.split = self._copy()
