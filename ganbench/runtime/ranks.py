"""The ranks of a run over several devices: processes started by torchrun that share each batch."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from ganbench.errors import GanbenchError
from ganbench.system.launcher import Launcher
from ganbench.system.parent import end_with_parent

# long enough for the first rank to compute scores; if a process dies, torchrun ends the others without waiting for it
TIMEOUT = timedelta(hours=2)
T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """One of `size` processes that train the same networks, each on its share of the images.

    All ranks must call each method that communicates, in the same order; with a single rank, none of them does
    anything. These methods raise `GanbenchError` if another rank is gone.
    """

    rank: int = 0
    size: int = 1
    local_size: int = 1  # ranks on this machine
    control: Any = None  # the process group for Python objects, over gloo; tensors use the default group

    @property
    def alone(self) -> bool:
        return self.size == 1

    @property
    def is_first(self) -> bool:
        """Whether this rank reports and writes files."""
        return self.rank == 0

    def stream(self, name: str) -> str:
        """Return the name of a stream of random numbers that is independent of those of other ranks."""
        return name if self.is_first else f"{name}/rank {self.rank}"

    def share(self, rows: Tensor, chunk: int | None = None) -> Tensor:
        """Return this rank's consecutive part of each chunk of `chunk` rows (None: of all rows), concatenated.

        The length of each chunk must be a multiple of the number of ranks.
        """
        if self.alone:
            return rows
        parts = [part.chunk(self.size)[self.rank] for part in rows.split(chunk or len(rows))]
        return torch.cat(parts)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their means over all ranks, with one all-reduce for each dtype."""
        if self.alone:
            return
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            same = [tensor for tensor in tensors if tensor.dtype == dtype]
            flat = torch.cat([tensor.reshape(-1) for tensor in same])
            with explain_lost_contact():
                dist.all_reduce(flat)
            flat /= self.size
            for tensor, part in zip(same, flat.split([tensor.numel() for tensor in same]), strict=True):
                tensor.copy_(part.view_as(tensor))

    def average_gradients(self, parameters: Sequence[Tensor], also: Sequence[Tensor] = ()) -> None:
        """Average the gradients of parameters, and the tensors in `also`, over all ranks.

        A rank may lack the gradient of a parameter, because its images did not use it, as with a part of the network
        for each class: it counts as 0, unless all ranks lack it.
        """
        if self.alone:
            return
        has_gradient = [parameter.grad is not None for parameter in parameters]
        gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in parameters]
        share = torch.tensor(has_gradient, dtype=torch.float32, device=parameters[0].device)
        self.average([*gradients, share, *also])
        if not all(has_gradient):
            for parameter, gradient, part in zip(parameters, gradients, share.tolist(), strict=True):
                parameter.grad = gradient if part > 0 else None

    def all_rows(self, rows: Tensor) -> Tensor:
        """Return the rows of all ranks, in order; each has as many."""
        if self.alone:
            return rows
        gathered = [torch.empty_like(rows) for _ in range(self.size)]
        with explain_lost_contact():
            dist.all_gather(gathered, rows.contiguous())
        return torch.cat(gathered)

    def any(self, flag: bool) -> bool:
        """Return whether the flag is set on any rank."""
        return flag if self.alone else any(self.all_values(flag))

    def all_values(self, value: T) -> list[T]:
        """Return the value of each rank."""
        if self.alone:
            return [value]
        values: list[Any] = [None] * self.size
        with explain_lost_contact():
            dist.all_gather_object(values, value, group=self.control)
        return values

    def gather(self, value: T) -> list[T]:
        """Return the value of each rank on the first one, and an empty list on the others."""
        if self.alone:
            return [value]
        values: list[Any] | None = [None] * self.size if self.is_first else None
        with explain_lost_contact():
            dist.gather_object(value, values, group=self.control)
        return values or []

    def from_first(self, value: T) -> T:
        """Return the first rank's value."""
        if self.alone:
            return value
        values = [value]
        with explain_lost_contact():
            dist.broadcast_object_list(values, group=self.control)
        return values[0]

    @contextmanager
    def first_in_advance(self) -> Iterator[None]:
        """Run the block on the first rank, then on the others at once, which find its downloads and caches."""
        if not self.is_first:
            self.from_first(None)
        yield
        if self.is_first:
            self.from_first(None)


SINGLE = Ranks()


@contextmanager
def join_ranks(launcher: Launcher, device: torch.device) -> Iterator[Ranks]:
    """Join the other processes that torchrun started, if there are any, until the end of the block."""
    if launcher.size == 1:
        yield SINGLE
        return
    end_with_parent()  # if torchrun is killed, it leaves its processes alone
    with explain_lost_contact():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
        control = dist.new_group(backend="gloo", timeout=TIMEOUT)
    try:
        yield Ranks(launcher.rank, launcher.size, launcher.local_size, control)
    finally:
        dist.destroy_process_group()


@contextmanager
def explain_lost_contact() -> Iterator[None]:
    """Turn the errors of a communication that another rank left into one for users."""
    try:
        yield
    except (RuntimeError, pickle.UnpicklingError) as error:
        # gloo begins with the line of its source, and ends with advice to developers
        reason = re.sub(r"^\[\S+:\d+\] ", "", str(error).partition("\n")[0]).partition(". ")[0]
        raise GanbenchError(f"lost contact with another process, which failed or was killed: {reason}") from error
