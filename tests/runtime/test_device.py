"""The device of a run: a GPU is used only if the installed torch has code for it."""

from __future__ import annotations

import warnings

import pytest
import torch

from ganbench import UsageError
from ganbench.errors import GanbenchWarning
from ganbench.runtime.device import resolve_device, runs_on

# those of the builds of torch 2.14 for CUDA 13.0
BUILT_FOR = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A GPU with the compute capability given by the test's parameter."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: BUILT_FOR)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: request.param)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Old GPU")
    monkeypatch.setattr(torch.version, "cuda", "13.0")


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("gpu", [(6, 1)], indirect=True)
def test_a_gpu_that_torch_was_not_built_for_is_not_used() -> None:
    problem = r"does not support Old GPU \(compute capability 6.1, but it was built for sm_75, .*\); install a build of"
    with pytest.warns(GanbenchWarning, match=f"using the CPU, because torch .* {problem}"):
        assert resolve_device("auto") == torch.device("cpu")
    with pytest.raises(UsageError, match=f"--device cuda: torch .* {problem} .*; or use --device cpu"):
        resolve_device("cuda")


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("gpu", [(7, 5), (8, 9), (9, 0), (12, 1)], indirect=True)
def test_a_gpu_that_torch_was_built_for_is_used() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [resolve_device(name) for name in ("auto", "cuda", "cuda:0")] == [torch.device("cuda", 0)] * 3


@pytest.mark.parametrize(
    ("capability", "built_for", "runs"),
    [
        ((8, 6), ["sm_80"], True),
        ((8, 0), ["sm_86"], False),
        ((9, 0), ["sm_80"], False),
        ((9, 0), ["sm_80", "compute_80"], True),
        ((7, 5), ["compute_80"], False),
        ((12, 0), ["sm_90", "sm_100"], False),
        ((9, 0), ["sm_90a"], True),
        ((9, 0), ["unknown"], True),
    ],
)
def test_binary_code_runs_on_its_major_version_and_ptx_on_later_ones(
    capability: tuple[int, int], built_for: list[str], runs: bool
) -> None:
    assert runs_on(capability, built_for) == runs
