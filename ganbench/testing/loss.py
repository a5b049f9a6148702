"""The contract of losses."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ganbench.plugin.interfaces import PLAYERS, Loss, Networks
from ganbench.plugin.registrations import LossPlugin
from ganbench.results.schema import EpochRow
from ganbench.runtime.precision import autocast
from ganbench.training.loss_contract import invalid_return, objective

from .assertions import assert_finite_scalar, assert_gradients, assert_unchanged
from .networks import Listening, assert_labels, conditional_networks
from .update import CPU, UpdateContract


class LossContract(UpdateContract):
    """Override `networks` if the loss requires particular networks."""

    plugin: ClassVar[LossPlugin]

    def loss(self, device: str = "cpu") -> Loss:
        loss: Loss = self.build(device)
        return loss

    def networks(self, device: str = "cpu") -> Networks:
        networks = super().networks(device)
        return conditional_networks(networks) if getattr(self.build(), "needs_labels", False) else networks

    def test_each_loss_is_a_finite_scalar_with_gradients_for_its_network(self) -> None:
        """Both methods return a pair of a differentiable scalar tensor and a mapping; the gradients of each loss reach
        the network that it trains.
        """
        networks, loss = self.networks(), self.loss()
        for player in PLAYERS:
            returned = objective(loss, player)(self.players(networks), self.batch(networks))
            value = returned[0] if isinstance(returned, tuple | list) and returned else returned
            if isinstance(value, Tensor) and len(returned) == 2:
                assert_finite_scalar(value, f"{player}_loss")
            invalid = invalid_return(returned)
            assert invalid is None, f"{player}_loss returned {invalid}"
            if any(parameter.requires_grad for parameter in networks[player].parameters()):
                assert_gradients(value, networks[player], f"{player}_loss")

    def test_monitors_are_scalars_with_unreserved_names(self) -> None:
        """Monitors are scalar tensors, and do not have the name of another column of the history."""
        networks, loss = self.networks(), self.loss()
        for player in PLAYERS:
            _, monitors = objective(loss, player)(self.players(networks), self.batch(networks))
            for name, value in monitors.items():
                assert value.shape == (), f"expected scalars, got shape {tuple(value.shape)} for {name}"
            reserved = sorted(set(monitors) & set(EpochRow.model_fields))
            assert not reserved, f"expected names other than those of the history's columns, got {', '.join(reserved)}"

    def test_it_passes_the_labels_of_the_images(self) -> None:
        """A conditional discriminator gets the labels of its images: `batch.labels` or `batch.fake_labels`."""
        if type(self).networks is not LossContract.networks:
            self.skip("the loss is tested with networks of its own")
        networks, loss = conditional_networks(super().networks(), Listening), self.loss()
        for player in PLAYERS:
            players, batch = self.players(networks), self.batch(networks)
            objective(loss, player)(players, batch)
            assert_labels(networks, players, batch)

    def test_it_does_not_change_the_batch(self) -> None:
        """Images, labels and latent vectors are not changed in place: penalties and the other update use them, too."""
        networks, loss = self.networks(), self.loss()
        for player in PLAYERS:
            batch = self.batch(networks)
            before = {name: getattr(batch, name).clone() for name in ("real", "labels", "latent")}
            objective(loss, player)(self.players(networks), batch)
            for name, values in before.items():
                assert_unchanged(getattr(batch, name), values, f"batch.{name}")

    def test_losses_are_float32_in_bf16(self) -> None:
        """With `training.precision = "bf16"`, the networks return bfloat16: the loss converts it before averaging."""
        networks, loss = self.networks(), self.loss()
        for player in PLAYERS:
            with autocast("bf16", CPU):
                value, _ = objective(loss, player)(self.players(networks), self.batch(networks))
            assert value.dtype.itemsize >= 4, (
                f"expected a float32 {player}_loss, got {value.dtype}: call .float() on the discriminator's output"
            )
            assert_finite_scalar(value, f"{player}_loss")
