"""The contract of models."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ganbench.errors import PluginError
from ganbench.plugin.interfaces import PLAYERS, Batch, Networks
from ganbench.plugin.registrations import ModelPlugin
from ganbench.runtime.precision import autocast
from ganbench.training.loss_contract import objective
from ganbench.training.players import UpdatePlayers
from ganbench.training.state.measuring import untouched

from .assertions import assert_finite, assert_gradients
from .contract import BATCH, SEED
from .networks import logits
from .update import BATCHES, CPU, STEP_IMAGES, UpdateContract


class ListeningPlayers(UpdatePlayers):
    """Players that note for each call of `discriminate` the number of images, and of rows of the output."""

    def __init__(self, networks: Networks) -> None:
        super().__init__(networks, networks.generator, networks.discriminator)
        self.calls: list[tuple[int, int]] = []

    def discriminate(self, images: Tensor, labels: Tensor | None = None) -> Any:
        output = super().discriminate(images, labels)
        self.calls.append((len(images), len(logits(output))))
        return output


class ModelContract(UpdateContract):
    """Override `loss` if the networks need a particular one."""

    plugin: ClassVar[ModelPlugin]

    def networks(self, device: str = "cpu") -> Networks:
        networks: Networks = self.build(device)
        return networks

    def generate(self, networks: Networks, generator: nn.Module, count: int = BATCH) -> Any:
        """Return what a generator makes of latent vectors, and of labels if the networks are conditional."""
        torch.manual_seed(SEED)
        return generator(torch.randn(count, networks.latent_dim), *self.labels_for(networks, count))

    def labels_for(self, networks: Networks, count: int) -> tuple[Tensor, ...]:
        return (self.labels()[:count],) if networks.conditional else ()

    def outputs(self, networks: Networks, count: int = BATCH) -> tuple[list[Tensor], ListeningPlayers]:
        """Return the logits that the discriminator returns for its loss on `count` images, and the loss's players."""
        found: list[Tensor] = []
        whole, players = self.batch(networks), ListeningPlayers(networks)
        fake_labels = None if whole.fake_labels is None else whole.fake_labels[:count]
        batch = Batch(whole.real[:count], whole.labels[:count], whole.latent[:count], fake_labels)
        hook = networks.discriminator.register_forward_hook(lambda *call: found.append(logits(call[-1])))
        try:
            self.loss().discriminator_loss(players, batch)
        finally:
            hook.remove()
        if not found:
            self.skip("the loss does not call the discriminator")
        return found, players

    def test_generated_images_have_the_right_shape(self) -> None:
        """The generator maps latent vectors, and labels if it is conditional, to finite floats of the data's shape."""
        networks = self.networks()
        images = self.generate(networks, networks.generator)
        expected = (BATCH, *self.image_shape)
        assert images.shape == expected, f"expected shape {expected}, got {tuple(images.shape)}"
        assert images.is_floating_point(), f"expected floats, got {images.dtype}"
        assert_finite(images)

    def test_generated_images_are_in_range(self) -> None:
        """Images are in [-1, 1], as by tanh, unless `Networks.unbounded` declares that they may lie outside."""
        networks = self.networks()
        if networks.unbounded or len(self.image_shape) != 3:
            self.skip("the output of the generator is declared as unbounded, or consists of vectors")
        images = self.generate(networks, networks.generator)
        least, largest = images.min().item(), images.max().item()
        assert -1 <= least <= largest <= 1, (
            f"expected values in [-1, 1], got {least:.4g} to {largest:.4g}: end the generator with tanh, or return "
            "Networks(..., unbounded=True)"
        )

    def test_the_discriminator_returns_a_finite_output_for_each_image(self) -> None:
        """Outputs are finite, and `players.discriminate` returns one row for each image."""
        networks = self.networks()
        outputs, players = self.outputs(networks)
        for output in outputs:
            assert_finite(output)
        for images, rows in players.calls:
            assert rows == images, f"expected {images} rows, one for each image, got {rows}"

    def test_gradients_reach_both_networks(self) -> None:
        """Each network's loss depends on its parameters; that of the generator, through the discriminator."""
        networks, loss = self.networks(), self.loss()
        for player in PLAYERS:
            players = UpdatePlayers(networks, networks.generator, networks.discriminator)
            if any(parameter.requires_grad for parameter in networks[player].parameters()):
                value, _ = objective(loss, player)(players, self.batch(networks))
                assert_gradients(value, networks[player], f"the loss of the {player}")

    def test_the_same_seed_builds_the_same_networks(self) -> None:
        """Two builds from the same seed have equal weights and buffers."""
        first, second = self.networks(), self.networks()
        for player in reversed(PLAYERS):
            states = first[player].state_dict(), second[player].state_dict()
            different = [key for key in states[0] if not torch.equal(states[0][key], states[1][key])]
            assert not different, f"expected equal weights, got different ones in the {player}: {', '.join(different)}"

    def test_loading_a_state_dict_reproduces_the_generator(self) -> None:
        """`state_dict` has everything that determines the images, so that a stored generator makes the same images."""
        first, second = self.networks(), self.build(seed=SEED + 1)
        second.generator.load_state_dict(first.generator.state_dict())
        images = [self.generate(networks, networks.generator.eval()) for networks in (first, second)]
        difference = (images[0] - images[1]).abs().max().item()
        assert difference == 0, f"expected equal images, got a difference of up to {difference:.3g}"

    def test_a_copy_of_the_generator_makes_the_same_images(self) -> None:
        """`copy.deepcopy` copies the generator, for a moving average of its weights."""
        networks = self.networks()
        copied = deepcopy(networks.generator)
        images = [self.generate(networks, generator.eval()) for generator in (networks.generator, copied)]
        difference = (images[0] - images[1]).abs().max().item()
        assert difference == 0, f"expected equal images of a copy, got a difference of up to {difference:.3g}"

    def test_both_networks_run_in_bf16(self) -> None:
        """With `training.precision = "bf16"`, images and outputs are finite floats."""
        networks = self.networks()
        with autocast("bf16", CPU):
            images = self.generate(networks, networks.generator, STEP_IMAGES)
            outputs, _ = self.outputs(networks, STEP_IMAGES)
        for values in (images, *outputs):
            assert values.is_floating_point(), f"expected floats, got {values.dtype}"
            assert_finite(values)

    def test_scoring_leaves_no_trace(self) -> None:
        """Weights, buffers, modes and Python state are the same after images have been generated in eval mode."""
        step, warnings = self.step(), list[str]()
        networks = step.networks
        try:
            with untouched(step, BATCHES, warnings.append), torch.no_grad():
                self.generate(networks, networks.generator.eval(), STEP_IMAGES)
        except PluginError as error:
            raise AssertionError(f"expected networks that return to training, got: {error}") from None
        assert not warnings, f"expected no change, got: {'; '.join(warnings)}"
