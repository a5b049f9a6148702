"""Images that a trained generator made, and their display in a notebook."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from ganbench.reporting.pictures import grid_html

if TYPE_CHECKING:
    from torch import Tensor

SHOWN_IMAGES = 64


@dataclass(frozen=True, repr=False)
class Samples:
    """Images of a generator. Equal weights and seeds give equal images; a larger number begins with the same ones."""

    images: Tensor  # uint8 (N, C, H, W); of a model that generates vectors: float32 (N, D)
    labels: Tensor | None  # int64 (N,); None for an unconditional model
    seed: int

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        labels = "" if self.labels is None else f", labels {reprlib.repr(self.labels.tolist())}"
        kind = str(self.images.dtype).removeprefix("torch.")
        return f"<Samples: {kind} {tuple(self.images.shape)}, seed {self.seed}{labels}>"

    def _repr_html_(self) -> str:
        if self.images.dim() != 4:
            return f"<div>{escape(repr(self))}</div>"
        return grid_html(self.images[:SHOWN_IMAGES].numpy())
