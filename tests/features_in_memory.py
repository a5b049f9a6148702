"""Features in memory, for tests of metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class InMemory:
    """Implements `ganbench.Features` with a tensor."""

    features: Tensor
    batch_size: int = 64
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.features)

    def batches(self) -> Iterator[Tensor]:
        return iter(self.features.split(self.batch_size))

    def derived(self, name: str, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        return compute()
