"""Generating images without a trace in the training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ganbench.data.batches import to_uint8
from ganbench.data.contract import described
from ganbench.data.labels import LabelSampler
from ganbench.errors import GanbenchError, PluginError
from ganbench.plugin.interfaces import Loss, Networks
from ganbench.runtime.attribution import PluginNames
from ganbench.runtime.networks import NetworkState
from ganbench.runtime.precision import float32_precision
from ganbench.runtime.rng import derived_seed, preserve_default_rngs, seed_default_rngs
from ganbench.spec.configs import GeneratorMode, Weights

FAR_OUTSIDE = 1.5  # a generator without a tanh may leave [-1, 1] by a little


class NotFiniteError(PluginError):
    """A generator made images that are not finite."""


@contextmanager
def evaluation_context(seed: int, device: torch.device) -> Iterator[None]:
    """No gradients, IEEE float32, and torch's, Python's and numpy's default generators seeded.

    Afterwards they are as they were.
    """
    with preserve_default_rngs(device), torch.no_grad(), float32_precision("fp32"):
        seed_default_rngs(derived_seed(seed, "evaluation_context"), device)
        yield


@contextmanager
def generator_mode(generator: nn.Module, mode: GeneratorMode) -> Iterator[None]:
    """The generator in train mode, as training has it, or in eval mode; afterwards it is as it was."""
    state = NetworkState(generator)
    try:
        if mode == "eval" or not generator.training:
            generator.train(mode == "train")
        yield
    finally:
        state.restore()


@contextmanager
def kept(networks: Networks, loss: Loss) -> Iterator[None]:
    """After the block, both networks and the state of the loss are as they were."""
    state = deepcopy(loss.state_dict()) if hasattr(loss, "state_dict") else None
    players = [NetworkState(network) for network in (networks.generator, networks.discriminator)]
    try:
        yield
    finally:
        for player in players:
            player.restore()
        if hasattr(loss, "load_state_dict"):
            loss.load_state_dict(state)


@dataclass(frozen=True)
class Source:
    """What images are generated with."""

    weights: Weights  # of the generator as trained, or of its moving average
    mode: GeneratorMode


class Sampler:
    """Generates images outside of training, and reports what is wrong with them."""

    def __init__(
        self,
        networks: Networks,
        plugin_names: PluginNames,
        image_shape: tuple[int, int, int],
        device: torch.device,
        warn: Callable[[str], None],
        labels: LabelSampler | None = None,
        average: Callable[[], nn.Module] | None = None,
    ) -> None:
        """`warn` is called once for each kind of thing that is wrong and does not end the run.

        `labels` is for conditional networks. `average` returns the generator's moving average, ready to be used.
        """
        self.networks = networks
        self.plugin_names = plugin_names
        self.image_shape = image_shape
        self.device = device
        self.labels = labels
        self._average = average
        self._warn = warn
        self._warned: set[str] = set()

    def generate(
        self,
        source: Source,
        count: int,
        batch_size: int,
        latents: torch.Generator,
        draw_labels: Callable[[int], Tensor] | None = None,
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """`count` generated images, uint8 `(N, C, H, W)`, with labels, in batches; call it within `evaluation_context`.

        Each is made in a full batch, the last one cut afterwards: in train mode an image depends on its batch's
        statistics. The latents are drawn on the CPU, so that the same ones come on every device; so are the labels of
        conditional networks, `(N,)`, which `draw_labels` returns for a number of images.

        Raises `PluginError` naming the model if it raises or makes anything else; and, after the last batch,
        `NotFiniteError` if any number was NaN or infinite, which in uint8 would look like black or white.
        """
        not_finite = torch.zeros((), dtype=torch.int64, device=self.device)
        lowest, highest = torch.full((2,), torch.inf, device=self.device)
        highest = -highest
        generator = self._generator(source.weights)
        with generator_mode(generator, source.mode):
            for start in range(0, count, batch_size):
                latent = torch.randn(batch_size, self.networks.latent_dim, generator=latents).to(self.device)
                labels = None
                if self.labels is not None:
                    assert draw_labels is not None
                    labels = draw_labels(batch_size).to(self.device)
                images = self._call(generator, latent, labels).detach()
                not_finite += images.isfinite().logical_not().sum()
                finite = images.nan_to_num()
                lowest, highest = torch.minimum(lowest, finite.min()), torch.maximum(highest, finite.max())
                kept_images = count - start
                yield to_uint8(finite)[:kept_images], None if labels is None else labels[:kept_images]
        if not_finite:
            raise NotFiniteError(
                f"{self.plugin_names.model}: in {source.mode} mode its generator made images of which "
                f"{int(not_finite):,} numbers are NaN or infinite; they get no score and no picture"
            )
        self._check_range(float(lowest), float(highest))

    def _generator(self, weights: Weights) -> nn.Module:
        if weights == "raw":
            return self.networks.generator
        assert self._average is not None
        return self._average()

    def _call(self, generator: nn.Module, latent: Tensor, labels: Tensor | None) -> Tensor:
        try:
            images: Any = generator(latent) if labels is None else generator(latent, labels)
        except GanbenchError:
            raise
        except (Exception, SystemExit) as error:
            raise self.plugin_names.generator_error(error, self.networks) from error
        if (
            not isinstance(images, Tensor)
            or tuple(images.shape) != (len(latent), *self.image_shape)
            or not images.is_floating_point()
        ):
            raise PluginError(
                f"{self.plugin_names.model}: its generator makes no images of the dataset's shape: for {len(latent)} "
                f"latents it returned {described(images)}; wanted: floating-point numbers of shape "
                f"{(len(latent), *self.image_shape)}"
            )
        return images

    def _check_range(self, lowest: float, highest: float) -> None:
        if max(-lowest, highest) > FAR_OUTSIDE:
            self.warn_once(
                "range",
                f"{self.plugin_names.model}: its generator makes images from {lowest:.3g} to {highest:.3g}; wanted: -1 "
                "(black) to 1 (white), as tanh gives. What is outside is cut off in scores and pictures",
            )

    def warn_once(self, kind: str, message: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            self._warn(message)
