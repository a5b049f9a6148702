"""The exponential moving average of the generator's weights (EMA)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from ganbench.errors import PluginError, describe
from ganbench.plugin.interfaces import Schedule
from ganbench.runtime.spectral_norm import set_exact_singular_vectors

from .position import Position


class EMA:
    """A copy of the generator whose parameters follow those of the trained one.

    With a half-life of h images, a step of n images gives an old value the weight 2^(-n/h); 0 copies the weights. Early
    on, h is at most `ramp` times the images shown so far, so that the initial weights are soon forgotten (Karras et al.
    2020, arXiv:1912.04958, and its code); a `ramp` of 0 disables this. Buffers, such as batch norm's running
    statistics, are copied.
    """

    def __init__(
        self,
        generator: nn.Module,
        half_life_kimg: Schedule,
        ramp: float,
        plugin: str,
        shared: Sequence[Tensor] = (),
    ) -> None:
        """`shared` are tensors that the copy holds, too, such as values that follow a schedule.

        Raises `PluginError` naming the model's `plugin` if its generator cannot be copied.
        """
        self.half_life_kimg = half_life_kimg
        self.ramp = ramp
        try:
            self.generator = deepcopy(generator, {id(tensor): tensor for tensor in shared})
        except Exception as error:
            raise PluginError(
                f"{plugin}: [ema] needs a copy of the generator, and copy.deepcopy raised {describe(error)}; do not "
                "call the generator before training, or use torch.nn.utils.parametrizations"
            ) from error
        self.generator.requires_grad_(False)
        self._source = generator
        device = next((parameter.device for parameter in generator.parameters()), torch.device("cpu"))
        self._new_share = torch.zeros((), device=device)  # of the trained weights in the next average

    def set(self, at: Position, images: int) -> None:
        """Set the weighting for the step at a position; `images` real images are shown since the last update.

        0 leaves the average as it is.
        """
        self._new_share.fill_(1 - self.decay(at.images, images))

    def decay(self, images_before: int, images: int) -> float:
        """Return the weight of the old average in a step."""
        if images == 0:
            return 1.0
        half_life = 1000 * self.half_life_kimg(images_before)  # images
        if self.ramp:
            half_life = min(half_life, self.ramp * images_before)
        return 0.5 ** (images / half_life) if half_life > 0 else 0.0

    @torch.no_grad()
    def update(self) -> None:
        """Update the average with the trained weights; can be captured as part of a step."""
        averaged, trained = list(self.generator.parameters()), list(self._source.parameters())
        for old, new in zip(averaged, trained, strict=True):
            if old.is_floating_point() or old.is_complex():
                old.lerp_(new, self._new_share.to(old.dtype))
        for copy, module in zip(self.generator.modules(), self._source.modules(), strict=True):
            for name, buffer in module._buffers.items():
                if buffer is None:
                    continue
                kept = copy._buffers.get(name)
                if kept is not None and kept.shape == buffer.shape:
                    kept.copy_(buffer)
                else:  # created in a first forward pass
                    copy.register_buffer(
                        name, buffer.clone(), persistent=name not in module._non_persistent_buffers_set
                    )

    def for_sampling(self) -> nn.Module:
        """Return the averaged generator, with exact singular vectors of the averaged weights in its spectral norms."""
        set_exact_singular_vectors(self.generator)
        return self.generator
