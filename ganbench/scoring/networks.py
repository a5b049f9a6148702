"""Builds the networks of a model, to be trained or to be given trained weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ganbench.data.contract import described
from ganbench.errors import PluginError
from ganbench.plugin.interfaces import PLAYERS, Networks
from ganbench.plugin.registrations import BuildContext
from ganbench.runtime.networks import set_train_mode
from ganbench.runtime.rng import derived_seed, seed_default_rngs
from ganbench.spec.configs import ModelConfig

MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def build_networks(model: ModelConfig, context: BuildContext, memory_format: torch.memory_format) -> Networks:
    """Build both networks from the run's seed, on the context's device and in train mode.

    Seeds the default random number generators. Raises `PluginError` for a model that raises or breaks its contract.
    """
    device = torch.device(context.device)
    seed_default_rngs(derived_seed(context.seed, "networks"), device)
    networks: Networks = model.build(context)
    check_networks(networks, str(model.plugin))
    for player in PLAYERS:
        networks[player].to(device).to(memory_format=memory_format)
        set_train_mode(networks[player])
    return networks


def check_networks(networks: Networks, plugin: str) -> None:
    """Raise `PluginError` for networks that are not modules, or whose parameters do not exist yet."""
    for player in PLAYERS:
        module: Any = networks[player]
        if not isinstance(module, nn.Module):
            raise PluginError(f"{plugin}: its {player} is {described(module)}; expected a torch.nn.Module")
        for name, parameter in module.named_parameters():
            if is_lazy(parameter):
                raise PluginError(
                    f"{plugin}: the {player}'s parameter {name} is created in its first forward pass (as by "
                    "nn.LazyLinear), but the optimizer needs it earlier; call the network once in build, or specify "
                    "the size of the layer"
                )
    if type(networks.latent_dim) is not int or networks.latent_dim < 1:
        raise PluginError(f"{plugin}: its latent_dim is {networks.latent_dim!r}; expected a positive integer")
