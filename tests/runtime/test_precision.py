"""Floating-point precision: the requested one is used and recorded."""

from __future__ import annotations

import pytest
import torch

from ganbench import UsageError
from ganbench.runtime.precision import resolve_precision

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A GPU with the compute capability given by the test's parameter."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: request.param)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: request.param >= (8, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Old GPU")


def test_on_a_cpu_tf32_is_fp32() -> None:
    assert [resolve_precision(CPU, asked) for asked in ("fp32", "tf32", "bf16")] == ["fp32", "fp32", "bf16"]


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("gpu", [(9, 0)], indirect=True)
def test_a_new_gpu_has_every_precision() -> None:
    assert [resolve_precision(CUDA, asked) for asked in ("fp32", "tf32", "bf16")] == ["fp32", "tf32", "bf16"]


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("gpu", [(7, 5)], indirect=True)
def test_on_an_old_gpu_bf16_is_rejected_and_tf32_is_fp32() -> None:
    assert resolve_precision(CUDA, "tf32") == "fp32"
    with pytest.raises(UsageError, match=r"training.precision: Old GPU does not support bf16; use fp32 or tf32"):
        resolve_precision(CUDA, "bf16")
