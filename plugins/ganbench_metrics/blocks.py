"""Features in blocks of bounded size, and the distances between them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ganbench import Features

BLOCK = 2048  # images; distances between two blocks take 32 MiB


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


def distances(rows: Features, columns: Features) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield the Euclidean distances in blocks: the range of rows, the range of columns, and the distances in float64.

    Memory: a few blocks of 2,048 images (32 MiB each for 2,048 features) and of distances (32 MiB each), for any number
    of images; together less than 400 MiB for 2,048 features. `columns` is read once for each block of rows.
    """
    row = 0
    for row_block in blocks(rows):
        column = 0
        for column_block in blocks(columns):
            # without matrix products, so that the distance between duplicates is exactly 0, and between equal pairs
            # exactly equal: the comparison with a radius would otherwise depend on rounding
            between = torch.cdist(row_block, column_block, compute_mode="donot_use_mm_for_euclid_dist")
            yield slice(row, row + len(row_block)), slice(column, column + len(column_block)), between
            column += len(column_block)
        row += len(row_block)


def neighbor_distances(features: Features, neighbors: int, device: str) -> Tensor:
    """Return the distance of each image to its k-th nearest other image, `(N,)`, float64.

    Duplicates of an image count as other images, so that the distance is 0 for an image with k duplicates. The values
    of real images are cached.
    """

    def compute() -> dict[str, Tensor]:
        # the nearest k + 1 so far, including the image itself
        nearest = torch.full((len(features), neighbors + 1), torch.inf, dtype=torch.float64, device=device)
        for rows, _, between in distances(features, features):
            nearest[rows] = torch.cat([nearest[rows], between], 1).topk(neighbors + 1, largest=False).values
        return {"distances": nearest.amax(1)}

    return features.derived(f"distances to neighbor {neighbors}", compute)["distances"]
