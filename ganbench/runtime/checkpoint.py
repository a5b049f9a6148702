"""The file checkpoint.pt: everything that a run needs to be resumed, and that its networks need to be rebuilt."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from ganbench.errors import MissingError, UsageError, causes
from ganbench.results.progress import RunProgress
from ganbench.results.record import other_schema, unreadable
from ganbench.system.files import atomic_write, explained_write

SCHEMA_VERSION = 8
# the errors that torch and pydantic raise for a corrupt file
UNREADABLE = (
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class Checkpoint:
    """The complete state to resume a run from."""

    progress: RunProgress
    state: dict[str, Any]  # from `training.state.step_state.live_state`
    order: Tensor  # the state of the batches' rng at the beginning of the current epoch
    other_ranks: list[dict[str, Any]] = field(default_factory=list)  # from `training.state.step_state.state_of_rank`

    def require_ranks(self, size: int, folder: Path) -> None:
        """Raise `UsageError` if the run had another number of ranks."""
        if size != len(self.other_ranks) + 1:
            raise UsageError(
                f"{folder}: the run was split over {len(self.other_ranks) + 1} processes, now {size}: start torchrun "
                f"with --nproc-per-node {len(self.other_ranks) + 1} to resume it"
            )

    def state_for(self, rank: int) -> dict[str, Any]:
        """Return the state to restore on a rank."""
        return self.state if rank == 0 else {**self.state, **self.other_ranks[rank - 1]}

    def save(self, path: Path) -> None:
        """Write the file atomically, with only tensors, numbers and text, which load without running code.

        Raises `GanbenchError` if it cannot be written.
        """
        with explained_write(path), atomic_write(path) as part, disk_errors(), part.open("wb") as file:
            torch.save(
                {
                    "schema_version": SCHEMA_VERSION,
                    "progress": self.progress.model_dump_json(),
                    "state": self.state,
                    "order": self.order,
                    "other_ranks": self.other_ranks,
                },
                file,  # not its path: with that, torch drops the reason why a write fails
            )


@contextmanager
def disk_errors() -> Iterator[None]:
    """Raise the `OSError` because of which torch failed to write to a file; torch raises an error of its own then."""
    try:
        yield
    except RuntimeError as error:
        raise next((cause for cause in causes(error) if isinstance(cause, OSError)), error) from None


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, without running any code in it.

    Raises `MissingError` if there is no file, and `UsageError` if it is corrupt or not written by ganbench.
    """
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        if content["schema_version"] != SCHEMA_VERSION:
            raise other_schema(f"checkpoint {path}", content["schema_version"], SCHEMA_VERSION, "repeat the run")
        progress = RunProgress.model_validate_json(content["progress"])
        return Checkpoint(progress, content["state"], content["order"], content["other_ranks"])
    except FileNotFoundError:
        raise MissingError(
            f"checkpoint {path}: file not found; restore it, or run the benchmark again, which saves one"
        ) from None
    except ValidationError as error:
        raise unreadable(f"checkpoint {path}", error, "restore it, or repeat the run") from None
    except UNREADABLE as error:
        raise UsageError(f"checkpoint {path}: corrupt, or not written by ganbench: {first_line(error)}") from None


def first_line(error: Exception) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", str(error).partition("\n")[0])  # torch colors its messages
