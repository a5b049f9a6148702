"""Assertions that several contracts share; messages say what was expected and what the plugin returned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ganbench.data.batches import to_uint8


def assert_finite(output: Tensor) -> None:
    count = int((~output.isfinite()).sum())
    assert not count, f"expected finite values, got {count} of {output.numel()} that are NaN or infinite"


def assert_finite_scalar(value: Tensor, name: str) -> None:
    assert value.shape == (), f"expected a scalar, got shape {tuple(value.shape)} for {name}"
    assert value.isfinite(), f"expected a finite value, got {value.item()} for {name}"


def assert_gradients(value: Tensor, network: nn.Module, name: str) -> None:
    """Assert that the scalar depends on the network's trainable parameters."""
    assert value.requires_grad, f"expected gradients, got a constant for {name}"
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(value, trainable, allow_unused=True, retain_graph=True)
    assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients), (
        f"expected gradients with respect to the network's parameters, got none or zeros for {name}"
    )


def assert_unchanged(tensor: Tensor, before: Tensor, name: str) -> None:
    changed = int((tensor != before).sum())
    assert not changed, f"expected unchanged {name}, got {changed} of {before.numel()} values changed in place"


def assert_json(protocol: Mapping[str, Any]) -> None:
    protocol = dict(protocol)
    try:
        stored = json.loads(json.dumps(protocol))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"expected a protocol that JSON can represent, got {protocol}: {error}") from None
    assert stored == protocol, f"expected a protocol that JSON preserves, got {protocol}, which becomes {stored}"


def quantized(images: Tensor) -> Tensor:
    """Return images as extractors and metrics get them: uint8, or vectors unchanged."""
    return to_uint8(images) if images.dim() == 4 else images
