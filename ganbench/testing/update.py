"""The base class for plugins that take part in training steps: models, losses, penalties, augmentations, optimizers."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch.optim import SGD

from ganbench.data.labels import LabelSampler
from ganbench.plugin.interfaces import PLAYERS, Augmentation, Batch, Loss, Networks, OptimizerFactory, Players
from ganbench.runtime.attribution import PluginNames
from ganbench.runtime.rng import make_rng, seed_default_rngs
from ganbench.training.penalties import Penalties, WeightedPenalty
from ganbench.training.players import NamedAugmentation, UpdatePlayers
from ganbench.training.state.leaves import first_difference, python_values
from ganbench.training.state.python_state import inspect_step, without_self_saved
from ganbench.training.state.step_state import restore_state, snapshot_state
from ganbench.training.step import FakeLabels, TrainingStep

from .contract import BATCH, SEED, PluginContract
from .networks import LogisticLoss, two_layer_networks
from .stored import state_of, through_file
from .without_values import StepParts, take_without_values

CPU = torch.device("cpu")
STEP_IMAGES = 4  # real images in each step
NAMES = PluginNames("the model", "the loss", dict.fromkeys(PLAYERS, "the optimizer"))
BATCHES: Any = SimpleNamespace(order=make_rng(SEED, "order"), flips=None)  # all steps get the same images


class UpdateContract(PluginContract):
    """Override `networks` or `loss` if the plugin needs particular ones.

    The plugin is built for `device`: "cpu", or "meta" for tensors without values.
    """

    def networks(self, device: str = "cpu") -> Networks:
        """Return a linear generator and a two-layer discriminator with one logit."""
        return two_layer_networks(self.image_shape, SEED)

    def loss(self, device: str = "cpu") -> Loss:
        return LogisticLoss()

    def optimizer(self, device: str = "cpu") -> OptimizerFactory:
        return partial(SGD, lr=0.1)

    def penalties(self, device: str = "cpu") -> list[WeightedPenalty]:
        return []

    def augmentations(self, device: str = "cpu") -> list[Augmentation]:
        return []

    def test_equal_seeds_give_equal_results(self) -> None:
        """Two runs from the same seed end in the same state: all random numbers come from torch's default generators,
        or from generators seeded with `context.seed`.
        """
        states = []
        for _ in range(2):
            step = self.step()
            self.take(step, 2)
            states.append(state_of(step, BATCHES))
        different = first_difference(*states)
        assert different is None, f"expected equal states after two steps with equal seeds, got another {different}"

    def test_training_can_be_resumed(self) -> None:
        """A step after resuming equals that of an uninterrupted run: all state is in tensors, numbers and text."""
        step = self.step()
        self.take(step)
        lost = [*step.python_state.lost(), *without_self_saved(step, inspect_step(step).iterators)]
        assert not lost, f"expected state in tensors, numbers and text, got other state in {', '.join(lost)}"
        state = through_file(snapshot_state(step, BATCHES))
        self.take(step)
        expected = state_of(step, BATCHES)
        resumed = self.step()
        restore_state(state, resumed, BATCHES)
        self.take(resumed)
        different = first_difference(expected, state_of(resumed, BATCHES))
        assert different is None, f"expected the state of an uninterrupted run, got another {different}"

    def test_a_step_changes_no_python_state(self) -> None:
        """State that changes from step to step is in tensors on the device, so that a CUDA graph can capture a step."""
        step, seen = self.step(), []
        for _ in range(3):
            self.take(step)
            seen.append(python_values(step))
        opaque = [f"{path}, which is {kind}" for path, kind in inspect_step(step).opaque.items()]
        assert not opaque, f"expected objects that can be inspected for changes, got {', '.join(opaque)}"
        for later in seen[1:]:
            changing = first_difference(seen[0], later)
            assert changing is None, f"expected no Python state that changes from step to step, got {changing}"

    def test_a_step_reads_nothing_from_the_device(self) -> None:
        """All tensors are on the device of the images, and no value is read there (`.item()`, `if tensor`, boolean
        indices), so that a CUDA graph can capture a step. Checked with torch's device `meta`, without a GPU.
        """
        networks = self.networks("meta")
        optimizers = dict.fromkeys(PLAYERS, self.optimizer("meta"))
        parts = StepParts(networks, self.loss("meta"), self.penalties("meta"), self.augmentations("meta"), optimizers)
        take_without_values(parts, self.batch(networks))

    def step(self) -> TrainingStep:
        """Return a training step with the plugin, as the engine builds it."""
        seed_default_rngs(SEED, CPU)
        networks = self.networks()
        sampler = LabelSampler([1] * self.num_classes, CPU)
        return TrainingStep(
            networks,
            self.loss(),
            dict.fromkeys(PLAYERS, self.optimizer()),
            make_rng(SEED, "latents"),
            "fp32",
            NAMES,
            penalties=Penalties(self.penalties()),
            augmentations=[NamedAugmentation("the augmentation", each) for each in self.augmentations()],
            labels=FakeLabels(sampler, make_rng(SEED, "labels")) if networks.conditional else None,
        )

    def take(self, step: TrainingStep, steps: int = 1) -> None:
        """Take steps on the same few images."""
        real, labels = self.images()[:STEP_IMAGES], self.labels()[:STEP_IMAGES]
        for _ in range(steps):
            step(real, labels, (True,) * len(step.penalties.all), lambda _: None)

    def batch(self, networks: Networks) -> Batch:
        """Return the data of an update; with labels for generated images if the networks are conditional."""
        labels, fake_labels = self.labels(), None
        if networks.conditional:
            fake_labels = labels if getattr(self.loss(), "pairs_images", False) else (labels + 1) % self.num_classes
        return Batch(self.images(), labels, torch.randn(BATCH, networks.latent_dim), fake_labels)

    def players(self, networks: Networks) -> Players:
        """Return the networks as the engine passes them to a loss."""
        return UpdatePlayers(networks, networks.generator, networks.discriminator)
