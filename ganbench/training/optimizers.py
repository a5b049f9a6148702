"""The networks' optimizers: how they are built, configured and restored, and clipping of gradients and weights."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import SGD, Adam, Optimizer

from ganbench.data.contract import described
from ganbench.errors import PluginError
from ganbench.plugin.interfaces import Networks, OptimizerFactory, Player


@dataclass(frozen=True)
class Clipping:
    """Bounds for a network's gradients before its optimizer's step, and for its weights after it."""

    max_grad_norm: float | None = None
    max_weight: float | None = None

    def clip_gradients(self, parameters: Sequence[Tensor]) -> None:
        if self.max_grad_norm is not None:
            clip_grad_norm_(parameters, self.max_grad_norm)

    @torch.no_grad()
    def clip_weights(self, parameters: Sequence[Tensor]) -> None:
        if self.max_weight is not None:
            for parameter in parameters:
                parameter.clamp_(-self.max_weight, self.max_weight)


def build_optimizer(
    networks: Networks, player: Player, factory: OptimizerFactory, device: torch.device, plugin: str
) -> Optimizer:
    """Build the optimizer of a network's trainable parameters.

    Raises `PluginError` if the factory does not return an optimizer.
    """
    named = networks[player].named_parameters()
    optimizer: Any = factory([(name, parameter) for name, parameter in named if parameter.requires_grad])
    if not isinstance(optimizer, Optimizer):
        raise PluginError(
            f"{plugin}: for the {player}'s parameters it returned {described(optimizer)}; expected a "
            "torch.optim.Optimizer"
        )
    configure(optimizer, device)
    return optimizer


def configure(optimizer: Optimizer, device: torch.device) -> None:
    """Use the fused Adam or SGD unless the plugin chose an implementation or it would fail; keep all state on a GPU.

    The latter is required by CUDA graphs. It is set for every engine, so that all engines compute the same numbers.
    """
    for group in optimizer.param_groups:
        if isinstance(optimizer, Adam | SGD) and can_fuse(group, device):
            group["fused"] = True
        if "capturable" in group and device.type == "cuda":
            group["capturable"] = True


def can_fuse(group: dict[str, Any], device: torch.device) -> bool:
    """Return whether to use the fused Adam or SGD for a group whose plugin chose no implementation."""
    if group["fused"] is not None or group["foreach"] is not None or group["differentiable"]:
        return False
    # with momentum, the fused SGD raises if a parameter gets its first gradient later than another; the others read a
    # scheduled learning rate on the host, which a CUDA graph cannot capture
    scheduled_on_gpu = device.type == "cuda" and isinstance(group["lr"], Tensor)
    if group.get("momentum") and not scheduled_on_gpu:
        return False
    return all(parameter.is_floating_point() and not has_gaps(parameter) for parameter in group["params"])


def has_gaps(parameter: Tensor) -> bool:
    """Return whether a parameter has gaps in memory, of which fused optimizers are unaware on a CPU."""
    span = 1 + sum((size - 1) * stride for size, stride in zip(parameter.shape, parameter.stride(), strict=True))
    return span != parameter.numel()


def load_optimizer_state(optimizer: Optimizer, saved: dict[str, Any]) -> None:
    """Restore an optimizer's state with its dtypes, and keep tensors such as scheduled learning rates.

    Torch's `load_state_dict` converts all tensors to the dtypes of their parameters, integers and masks to floats, and
    float32 averages of bfloat16 parameters to bfloat16. In parameter groups, it replaces tensors by copies.
    """
    options = [dict(group) for group in optimizer.param_groups]
    optimizer.load_state_dict(deepcopy(saved))
    for before, group in zip(options, optimizer.param_groups, strict=True):
        for key, held in before.items():
            if isinstance(held, Tensor) and isinstance(loaded := group.get(key), Tensor):
                group[key] = held.copy_(loaded)
    if type(optimizer).load_state_dict is not Optimizer.load_state_dict:
        return
    numbers = chain.from_iterable(group["params"] for group in saved["param_groups"])
    parameters = chain.from_iterable(group["params"] for group in optimizer.param_groups)
    for number, parameter in zip(numbers, parameters, strict=True):
        restored = optimizer.state.get(parameter, {})
        for key, value in saved["state"].get(number, {}).items():
            if isinstance(value, Tensor) and value.dtype != restored[key].dtype:
                restored[key] = value.to(restored[key].device, copy=True)
