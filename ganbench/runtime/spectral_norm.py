"""Spectral normalization of averaged weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.spectral_norm import SpectralNorm


def set_exact_singular_vectors(average: nn.Module) -> None:
    """Set the singular vectors in the spectral norms of an averaged network to those of the averaged weights.

    The vectors copied from the trained network belong to its own weights: with them, the largest singular value of the
    average would be off by 1% or more.
    """
    for module in average.modules():
        if isinstance(module, ParametrizationList):
            set_in_parametrizations(module)
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, SpectralNorm):  # the older torch.nn.utils.spectral_norm
                weight = hook.reshape_weight_to_matrix(getattr(module, f"{hook.name}_orig"))
                set_singular_vectors(weight, getattr(module, f"{hook.name}_u"), getattr(module, f"{hook.name}_v"))


@torch.no_grad()
def set_in_parametrizations(parametrizations: ParametrizationList) -> None:
    """Set the singular vectors of each spectral norm of a weight, which may follow other parametrizations."""
    if not any(isinstance(each, _SpectralNorm) for each in parametrizations):
        return
    names = ["original"] if parametrizations.is_tensor else [f"original{n}" for n in range(parametrizations.ntensors)]
    values = [getattr(parametrizations, name) for name in names]
    for each in parametrizations:
        if isinstance(each, _SpectralNorm) and values[0].ndim > 1:
            set_singular_vectors(each._reshape_weight_to_matrix(values[0]), each._u, each._v)
        values = [each(*values)]


@torch.no_grad()
def set_singular_vectors(weight: Tensor, u: Tensor, v: Tensor) -> None:
    """Set `u` and `v` to the left and right singular vectors of the largest singular value of a matrix."""
    left, _, right = torch.linalg.svd(weight.double(), full_matrices=False)
    u.copy_(left[:, 0])
    v.copy_(right[0])
