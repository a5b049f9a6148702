"""Features in blocks of bounded size, and the distances between them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ganbench import Features

BLOCK = 2048  # images; distances between two blocks take 32 MiB
# float64's, times the terms of a product that may have several thousand features; features are float32, so that those
# of different images differ by far more
ROUNDING = 1e-12


def all_finite(features: Features) -> bool:
    return all(bool(batch.isfinite().all()) for batch in features.batches())


def blocks(features: Features) -> Iterator[Tensor]:
    """Yield the features in float64, `(BLOCK, d)`; the last block may be shorter."""
    parts: list[Tensor] = []
    count = 0
    for batch in features.batches():
        for part in batch.double().split(BLOCK):
            parts.append(part)
            count += len(part)
            if count >= BLOCK:
                whole = torch.cat(parts)
                yield whole[:BLOCK]
                parts, count = [whole[BLOCK:]], count - BLOCK
    if count:
        yield torch.cat(parts)


def squared_distances(rows: Features, columns: Features, slack: float = 0.0) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield the squared Euclidean distances in blocks: the range of rows, the range of columns, and float64 values.

    They are computed by a matrix product, as |x|² + |y|² - 2 x·y with features relative to a common center, whose
    rounding error is less than `ROUNDING` (|x|² + |y|²). That times `slack` is added: with a slack of -1, no value is
    greater than the exact one; with 1, none is less.

    Memory: a few blocks of 2,048 images (32 MiB each for 2,048 features) and of distances (32 MiB each), for any number
    of images. `columns` is read once for each block of rows.
    """
    center = next(blocks(columns)).mean(0)  # differences of features that share a large offset would be rounded
    row = 0
    for row_block in blocks(rows):
        left, column = row_block - center, 0
        left = torch.cat([-2 * left, (1 + slack * ROUNDING) * squared_norms(left), torch.ones_like(left[:, :1])], 1)
        for column_block in blocks(columns):
            right = column_block - center
            right = torch.cat([right, torch.ones_like(right[:, :1]), (1 + slack * ROUNDING) * squared_norms(right)], 1)
            yield slice(row, row + len(left)), slice(column, column + len(right)), left @ right.T
            column += len(right)
        row += len(left)


def squared_norms(block: Tensor) -> Tensor:
    return block.square().sum(1, keepdim=True)


def squared_radii(features: Features, neighbors: int, device: str) -> Tensor:
    """Return the squared distance of each image to its k-th nearest other image, `(N,)`, float64.

    Duplicates of an image count as other images, so that the distance is 0, up to rounding, for an image with k
    duplicates. The values of real images are cached.
    """

    def compute() -> dict[str, Tensor]:
        # the nearest so far, including the image itself
        nearest = torch.full((len(features), neighbors + 1), torch.inf, dtype=torch.float64, device=device)
        for rows, _, between in squared_distances(features, features):
            closest = between.topk(min(neighbors + 1, between.shape[1]), largest=False).values
            nearest[rows] = torch.cat([nearest[rows], closest], 1).sort(1).values[:, : neighbors + 1]
        return {"radii": nearest[:, neighbors].clamp(min=0)}

    return features.derived(f"squared distances to neighbor {neighbors}", compute)["radii"]
