"""Generating images without a trace in the training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy

import torch
from torch import Tensor

from ganbench.data.batches import to_uint8
from ganbench.data.contract import described
from ganbench.errors import GanbenchError, PluginError
from ganbench.plugin.interfaces import Loss, Networks
from ganbench.runtime.culprit import Culprits
from ganbench.runtime.networks import NetworkState
from ganbench.runtime.precision import float32_precision
from ganbench.runtime.seeds import defaults_restored, derived_seed, seed_defaults
from ganbench.spec.configs import GeneratorMode

FAR_OUTSIDE = 1.5  # a generator without a tanh may leave [-1, 1] by a little


class NotFiniteError(PluginError):
    """A generator made images that are not finite."""


@contextmanager
def isolated(seed: int, device: torch.device) -> Iterator[None]:
    """No gradients, IEEE float32, and torch's, Python's and numpy's default generators seeded.

    Afterwards they are as they were.
    """
    with defaults_restored(device), torch.no_grad(), float32_precision("fp32"):
        seed_defaults(derived_seed(seed, "isolated"), device)
        yield


@contextmanager
def generator_mode(networks: Networks, mode: GeneratorMode) -> Iterator[None]:
    """The generator in train mode, as training has it, or in eval mode; afterwards it is as it was."""
    generator = networks.generator
    state = NetworkState(generator)
    try:
        if mode == "eval" or not generator.training:
            generator.train(mode == "train")
        yield
    finally:
        state.restore()


@contextmanager
def kept(networks: Networks, loss: Loss) -> Iterator[None]:
    """After the block, both players and the state of the loss are as they were."""
    state = deepcopy(loss.state_dict()) if hasattr(loss, "state_dict") else None
    players = [NetworkState(network) for network in (networks.generator, networks.discriminator)]
    try:
        yield
    finally:
        for player in players:
            player.restore()
        if hasattr(loss, "load_state_dict"):
            loss.load_state_dict(state)


class Sampler:
    """Generates images outside of training, and says what is wrong with them."""

    def __init__(
        self,
        networks: Networks,
        culprits: Culprits,
        image_shape: tuple[int, int, int],
        device: torch.device,
        warn: Callable[[str], None],
    ) -> None:
        """`warn` is called once for each kind of thing that is wrong and does not end the run."""
        self.networks = networks
        self.culprits = culprits
        self.image_shape = image_shape
        self.device = device
        self._warn = warn
        self._warned: set[str] = set()

    def generate(self, mode: GeneratorMode, count: int, batch_size: int, latents: torch.Generator) -> Iterator[Tensor]:
        """`count` generated images, uint8 `(N, C, H, W)`, in batches; to be called within `isolated`.

        Each is made in a full batch, the last one cut afterwards: in train mode an image depends on its batch's
        statistics. The latents are drawn on the CPU, so that the same ones come on every device.

        Raises `PluginError` naming the model if it raises or makes anything else; and, after the last batch,
        `NotFiniteError` if any number was NaN or infinite, which in uint8 would look like black or white.
        """
        not_finite = torch.zeros((), dtype=torch.int64, device=self.device)
        lowest, highest = torch.full((2,), torch.inf, device=self.device)
        highest = -highest
        with generator_mode(self.networks, mode):
            for start in range(0, count, batch_size):
                latent = torch.randn(batch_size, self.networks.latent_dim, generator=latents).to(self.device)
                images = self._call(latent).detach()
                not_finite += images.isfinite().logical_not().sum()
                finite = images.nan_to_num()
                lowest, highest = torch.minimum(lowest, finite.min()), torch.maximum(highest, finite.max())
                yield to_uint8(finite)[: count - start]
        if not_finite:
            raise NotFiniteError(
                f"{self.culprits.model}: in {mode} mode its generator made images of which {int(not_finite):,} numbers "
                "are NaN or infinite; they get no score and no picture"
            )
        self._check_range(float(lowest), float(highest))

    def _call(self, latent: Tensor) -> Tensor:
        try:
            images = self.networks.generator(latent)
        except GanbenchError:
            raise
        except (Exception, SystemExit) as error:
            raise self.culprits.in_generator(error, self.networks) from error
        if (
            not isinstance(images, Tensor)
            or tuple(images.shape) != (len(latent), *self.image_shape)
            or not images.is_floating_point()
        ):
            raise PluginError(
                f"{self.culprits.model}: its generator makes no images of the dataset's shape: for {len(latent)} "
                f"latents it returned {described(images)}; wanted: floating-point numbers of shape "
                f"{(len(latent), *self.image_shape)}"
            )
        return images

    def _check_range(self, lowest: float, highest: float) -> None:
        if max(-lowest, highest) > FAR_OUTSIDE:
            self.warn_once(
                "range",
                f"{self.culprits.model}: its generator makes images from {lowest:.3g} to {highest:.3g}; wanted: -1 "
                "(black) to 1 (white), as tanh gives. What is outside is cut off in scores and pictures",
            )

    def warn_once(self, kind: str, message: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            self._warn(message)
