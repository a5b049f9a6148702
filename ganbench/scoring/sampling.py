"""Image generation that does not affect training."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
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
from ganbench.runtime.plugin_state import load_saved_state, saved_state
from ganbench.runtime.precision import float32_precision
from ganbench.runtime.ranks import SINGLE, Ranks
from ganbench.runtime.rng import derived_seed, make_rng, preserve_default_rngs, seed_default_rngs
from ganbench.spec.configs import GeneratorMode, Weights

MAX_ABS_PIXEL = 1.5  # larger values cause a warning; a generator without tanh may slightly exceed [-1, 1]
# what is stored with a score: without numbers, so that all scores of a run have one warning
CLIPPED = "the generated images exceed [-1, 1] and are clipped"
GRAY = "no pixel of the generated images is darker than gray, as with sigmoid instead of tanh"


class NotFiniteError(PluginError):
    """Raised when generated images contain NaN or infinity."""


@contextmanager
def evaluation_context(seed: int, device: torch.device, stream: str = "isolated") -> Iterator[None]:
    """Disable gradients, use IEEE float32, and seed the default random number generators within the block.

    All are restored afterwards. `stream` names the random numbers, which a generator may use for noise of its own.
    """
    with preserve_default_rngs(device), torch.no_grad(), float32_precision("fp32"):
        seed_default_rngs(derived_seed(seed, stream), device)
        yield


@contextmanager
def generator_mode(generator: nn.Module, mode: GeneratorMode) -> Iterator[None]:
    """Put the generator into train or eval mode within the block; restore it afterwards.

    A generator that is already in train mode keeps the modes of its parts, as in training.
    """
    state = NetworkState(generator)
    try:
        if mode == "eval" or not generator.training:
            generator.train(mode == "train")
        yield
    finally:
        state.restore()


@contextmanager
def preserve_state(networks: Networks, loss: Loss, device: torch.device, plugin: str) -> Iterator[None]:
    """Restore both networks and the state of the loss, which belongs to `plugin`, after the block."""
    state = deepcopy(saved_state(loss))
    players = [NetworkState(network) for network in (networks.generator, networks.discriminator)]
    try:
        yield
    finally:
        for player in players:
            player.restore()
        load_saved_state(loss, state, device, plugin)


@dataclass(frozen=True)
class Source:
    """The generator weights and mode used to generate images."""

    weights: Weights  # raw or moving average
    mode: GeneratorMode


class Sampler:
    """Generates images outside of training, and reports problems with them."""

    def __init__(
        self,
        networks: Networks,
        plugin_names: PluginNames,
        data_shape: tuple[int, ...],
        device: torch.device,
        warn: Callable[[str], None],
        labels: LabelSampler | None = None,
        average: Callable[[], nn.Module] | None = None,
    ) -> None:
        """`warn` is called once for each kind of problem that does not end the run.

        `labels` is for conditional networks. `average` returns a generator with the moving average of the weights.
        """
        self.networks = networks
        self.plugin_names = plugin_names
        self.data_shape = data_shape
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
        ranks: Ranks = SINGLE,
        problems: list[str] | None = None,
    ) -> Generator[tuple[Tensor, Tensor | None]]:
        """Yield `count` images, uint8 `(N, C, H, W)`, or vectors, float32 `(N, D)`, and labels, in batches.

        Call it within `evaluation_context`, and close it if it may not be exhausted: the generator's mode and state are
        restored at its end.

        The last batch is generated in full and then truncated, because in train mode an image depends on the statistics
        of its batch. Latent vectors are sampled on the CPU, so that they are the same on every device, and so are the
        labels of conditional networks, `(N,)`, which `draw_labels` returns for a number of images. Each of several
        ranks yields one batch in turn, of the same images as a single one would. After the last batch, `CLIPPED` and
        `GRAY` are added to `problems` if they are true.

        Raises `PluginError`, naming the model, if the generator raises or returns invalid output. Raises
        `NotFiniteError` after the last batch if any value is NaN or infinite, which uint8 cannot represent and metrics
        need not handle.
        """
        not_finite = torch.zeros((), dtype=torch.int64, device=self.device)
        lowest, highest = torch.full((2,), torch.inf, device=self.device)
        highest = -highest
        generator = self.generator_with(source.weights)
        with generator_mode(generator, source.mode):
            for number, start in enumerate(range(0, count, batch_size)):
                latent = torch.randn(batch_size, self.networks.latent_dim, generator=latents).to(self.device)
                labels = None
                if self.labels is not None:
                    assert draw_labels is not None
                    labels = draw_labels(batch_size).to(self.device)
                if number % ranks.size != ranks.rank:
                    continue
                images = self._call(generator, latent, labels, source.mode).detach()
                not_finite += images.isfinite().logical_not().sum()
                finite = images.nan_to_num()
                lowest, highest = torch.minimum(lowest, finite.min()), torch.maximum(highest, finite.max())
                remaining = count - start
                quantized = to_uint8(finite) if self.are_images else finite.float()
                yield quantized[:remaining], None if labels is None else labels[:remaining]
        if not_finite:
            raise NotFiniteError(
                f"{self.plugin_names.model}: in {source.mode} mode, the generated images contain {int(not_finite):,} "
                "values that are NaN or infinite; they are not scored or saved"
            )
        found = self._check_range(float(lowest), float(highest))
        if problems is not None:
            problems += found

    def try_out(self, source: Source, count: int) -> None:
        """Generate `count` images once, in a single batch, to see whether the generator can do so.

        Call it within `evaluation_context`. Raises the same errors as `generate`, except those about values: training
        has yet to change these.
        """
        generator = self.generator_with(source.weights)
        latent = torch.randn(count, self.networks.latent_dim, device=self.device)
        labels = None if self.labels is None else self.labels.cycle(count).to(self.device)
        with generator_mode(generator, source.mode):
            self._call(generator, latent, labels, source.mode)

    @property
    def are_images(self) -> bool:
        """Whether images are generated, and not vectors."""
        return len(self.data_shape) == 3

    def scored_images(
        self,
        source: Source,
        count: int,
        batch_size: int,
        seed: int,
        draw_labels: Callable[[int], Tensor] | None = None,
        ranks: Ranks = SINGLE,
        problems: list[str] | None = None,
    ) -> Generator[tuple[Tensor, Tensor | None]]:
        """Yield the images and labels that are scored with a run's seed, as `generate` does; other labels if given.

        The first images are the same for any count. Call it within `evaluation_context`.
        """
        latents = make_rng(seed, "evaluation")
        if draw_labels is None and self.labels is not None:
            draw_labels = partial(self.labels.draw, rng=make_rng(seed, "evaluation labels"))
        yield from self.generate(source, count, batch_size, latents, draw_labels, ranks, problems)

    def generator_with(self, weights: Weights) -> nn.Module:
        """Return the generator, or that with the moving average of its weights."""
        if weights == "raw":
            return self.networks.generator
        assert self._average is not None
        return self._average()

    def _call(self, generator: nn.Module, latent: Tensor, labels: Tensor | None, mode: GeneratorMode) -> Tensor:
        try:
            images: Any = generator(latent) if labels is None else generator(latent, labels)
        except GanbenchError:
            raise
        except (Exception, SystemExit) as error:
            raise self.plugin_names.generator_error(error, self.networks, mode) from error
        if (
            not isinstance(images, Tensor)
            or tuple(images.shape) != (len(latent), *self.data_shape)
            or not images.is_floating_point()
        ):
            raise PluginError(
                f"{self.plugin_names.model}: for {len(latent)} latent vectors, the generator must return a "
                f"floating-point tensor of shape {(len(latent), *self.data_shape)}, got {described(images)}"
            )
        return images

    def _check_range(self, lowest: float, highest: float) -> list[str]:
        """Warn of images in another range, and return what is wrong with them."""
        range_found = f"{self.plugin_names.model}: the generated images range from {lowest:.3g} to {highest:.3g}"
        problems = []
        if self.are_images and max(-lowest, highest) > MAX_ABS_PIXEL:
            problems.append(CLIPPED)
            self.warn_once(
                CLIPPED,
                f"{range_found}; expected -1 (black) to 1 (white), as with tanh. Values outside are clipped for scores "
                "and sample images",
            )
        if self.are_images and 0 <= lowest < highest <= 1:
            problems.append(GRAY)
            self.warn_once(
                GRAY,
                f"{range_found}, so no pixel is darker than gray; expected -1 (black) to 1 (white), as with tanh "
                "instead of sigmoid",
            )
        return problems

    def warn_once(self, kind: str, message: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            self._warn(message)
