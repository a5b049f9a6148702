"""R1, R2 and the gradient penalty of WGAN-GP, before their weights."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import relu

from ganbench import Batch, Players


def r1(players: Players, batch: Batch) -> Tensor:
    """E[|grad D(x)|^2] / 2 over real images: eq. 9 of Mescheder et al. 2018 (arXiv:1801.04406) for gamma = 1."""
    return squared_norms(players.input_gradient(batch.real, batch.labels)).mean() / 2


def r2(players: Players, batch: Batch) -> Tensor:
    """E[|grad D(x)|^2] / 2 over generated images: eq. 10 of Mescheder et al. 2018 for gamma = 1."""
    return squared_norms(players.input_gradient(players.generate(batch), batch.fake_labels)).mean() / 2


class GradientPenalty:
    """E[(|grad D(x)| - target)^2] over x between pairs of real and generated images.

    Eq. 3 of Gulrajani et al. 2017 (arXiv:1704.00028), whose weight is 10. `one_sided` penalizes norms above the target
    alone. The points between take the real images' labels.
    """

    def __init__(self, target: float, one_sided: bool) -> None:
        self.target = target
        self.one_sided = one_sided

    def __call__(self, players: Players, batch: Batch) -> Tensor:
        generated = players.generate(batch).detach()
        share = torch.rand(len(batch.real), 1, 1, 1, device=batch.real.device)
        between = batch.real.detach().lerp(generated.to(batch.real.dtype), share)
        # without the small number, the gradient of the root at 0 would be infinite
        norms = (squared_norms(players.input_gradient(between, batch.labels)) + 1e-12).sqrt()
        excess = norms - self.target
        return (relu(excess) if self.one_sided else excess).square().mean()


def squared_norms(gradients: Tensor) -> Tensor:
    """Of each image's gradient: `(N, C, H, W)` to `(N,)`."""
    return gradients.float().square().flatten(1).sum(1)
