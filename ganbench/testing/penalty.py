"""The contract of penalties."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ganbench.plugin.interfaces import PLAYERS, Batch, Networks
from ganbench.plugin.registrations import PenaltyPlugin
from ganbench.runtime.precision import autocast
from ganbench.training.loss_contract import objective
from ganbench.training.penalties import WeightedPenalty
from ganbench.training.players import UpdatePlayers

from .assertions import assert_finite_scalar, assert_gradients, assert_unchanged
from .networks import Listening, assert_labels, conditional_networks
from .update import CPU, UpdateContract


class PenaltyContract(UpdateContract):
    """Override `networks` if the penalty requires particular networks."""

    plugin: ClassVar[PenaltyPlugin]

    def penalties(self, device: str = "cpu") -> list[WeightedPenalty]:
        return [WeightedPenalty("penalty", "the penalty", self.build(device), 1.0, player=self.plugin.player)]

    def value(self, networks: Networks) -> tuple[Tensor, UpdatePlayers, Batch]:
        """Return the penalty as the engine computes it, after the loss, and its arguments."""
        (penalty,), player = self.penalties(), self.plugin.player
        for other in PLAYERS:
            networks[other].requires_grad_(other == player)
        of_discriminator, batch = player == "discriminator", self.batch(networks)
        players = UpdatePlayers(
            networks, networks.generator, networks.discriminator, differentiable_images=of_discriminator
        )
        batch.real.requires_grad_(of_discriminator)
        objective(self.loss(), player)(players, batch)
        return penalty.penalty(players, batch), players, batch

    def test_it_is_a_finite_scalar_with_gradients_for_its_network(self) -> None:
        """The value is a scalar tensor, without NaN or infinity, that depends on the parameters of its network."""
        networks = self.networks()
        value, _, _ = self.value(networks)
        assert isinstance(value, Tensor), f"expected a tensor, got {value!r}"
        assert_finite_scalar(value, "the penalty")
        assert_gradients(value, networks[self.plugin.player], "the penalty")

    def test_it_passes_the_labels_of_the_images(self) -> None:
        """A conditional discriminator gets the labels of its images: `batch.labels` or `batch.fake_labels`."""
        if type(self).networks is not UpdateContract.networks:
            self.skip("the penalty is tested with networks of its own")
        networks = conditional_networks(self.networks(), Listening)
        _, players, batch = self.value(networks)
        assert_labels(networks, players, batch)

    def test_it_does_not_change_the_batch(self) -> None:
        """Real images are not changed in place."""
        networks = self.networks()
        _, _, batch = self.value(networks)
        assert_unchanged(batch.real, self.images(), "batch.real")

    def test_it_is_finite_in_bf16(self) -> None:
        """With `training.precision = "bf16"`, the value is finite, and depends on the parameters of its network."""
        networks = self.networks()
        with autocast("bf16", CPU):
            value, _, _ = self.value(networks)
        assert_finite_scalar(value, "the penalty")
        assert_gradients(value, networks[self.plugin.player], "the penalty")
