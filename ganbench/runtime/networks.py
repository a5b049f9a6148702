"""The modes, parameters and buffers of networks, and how to restore them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

import torch
from torch import nn

from .values import same_bits


def set_train_mode(network: nn.Module) -> None:
    """Put a network that was just built into train mode, but for parts that its author has put into eval mode.

    Those are frozen parts, whose parameters require no gradient, and any part of a network that is itself in train
    mode: every module begins in train mode, so somebody has chosen otherwise.
    """
    modules = list(network.modules())
    if network.training:
        chosen = {module for module in modules if not module.training}
    else:
        frozen = [module for module in modules if not module.training and is_frozen(module)]
        chosen = {part for module in frozen for part in module.modules()}
    if chosen:
        set_modes({module: module not in chosen for module in modules})
    else:
        network.train()


def is_frozen(module: nn.Module) -> bool:
    parameters = list(module.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


def set_modes(modes: Mapping[nn.Module, bool]) -> None:
    """Put modules into modes as a training loop does, by their methods, so that what these do besides is done.

    `modes` has parents before their parts, as `modules()` gives them.
    """
    for module, training in modes.items():
        if module.training != training:
            module.train(training)
    for module, training in modes.items():  # an own method may have left out some
        module.training = training


class NetworkState:
    """The modes, parameters and buffers of a network, to be restored after something that only measures."""

    def __init__(self, network: nn.Module) -> None:
        self.modes = {module: module.training for module in network.modules()}
        held: list[dict[str, Any]] = [held for m in network.modules() for held in (m._parameters, m._buffers)]
        self.held = [(tensors, dict(tensors)) for tensors in held]
        every = chain(network.named_parameters(), network.named_buffers())
        self.tensors = {name: (tensor, tensor.data, tensor.detach().clone()) for name, tensor in every}

    def restore(self) -> None:
        set_modes(self.modes)
        for held, before in self.held:
            if list(held) != list(before) or any(held[name] is not tensor for name, tensor in before.items()):
                held.clear()
                held.update(before)
        with torch.no_grad():
            for tensor, memory, copy in self.tensors.values():
                if tensor.data_ptr() != memory.data_ptr() or tensor.shape != copy.shape:
                    tensor.data = memory
                if not same_bits(tensor, copy):
                    tensor.detach().copy_(copy)

    def differing(self) -> list[str]:
        """The names of tensors that differ although they were restored."""
        return [name for name, (tensor, _, copy) in self.tensors.items() if not same_bits(tensor, copy)]
