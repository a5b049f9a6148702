"""The roofline: the work of a step, and the peak performance of the device."""

from __future__ import annotations

import pytest
import torch

from ganbench.results.throughput import Roofline
from ganbench.training.roofline import best_seconds, measure_roofline, why_unreliable

CPU = torch.device("cpu")


def test_the_minimum_is_the_longer_of_arithmetic_and_memory_traffic() -> None:
    roofline = Roofline(
        flops_per_image=1e9, state_bytes_per_step=10**9, matmul_flops_per_second=1e12, copy_bytes_per_second=1e10
    )
    assert roofline.min_step_seconds(batch_size=10) == pytest.approx(0.1)  # bound by memory traffic
    assert roofline.min_step_seconds(batch_size=1000) == pytest.approx(1.0)  # bound by arithmetic
    assert roofline.utilization(images_per_second=500) == pytest.approx(0.5)


def test_a_roofline_that_training_exceeds_is_unreliable() -> None:
    roofline = Roofline(
        flops_per_image=1e9, state_bytes_per_step=10**6, matmul_flops_per_second=1e12, copy_bytes_per_second=1e10
    )
    assert why_unreliable(roofline, batch_size=100, step_seconds=0.11) is None
    reason = why_unreliable(roofline, batch_size=100, step_seconds=0.03)  # for example 305% of a matrix product
    assert reason is not None
    assert "faster than the roofline" in reason
    assert why_unreliable(roofline, 100, 0.11, "other processes used 1.48 of the 2 CPU cores") is not None


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_peaks_are_measured(precision: str) -> None:
    roofline = measure_roofline(575.87e6, 10**6, precision, CPU)
    assert roofline.flops_per_image == 575.87e6
    assert roofline.matmul_flops_per_second > 1e6
    assert roofline.copy_bytes_per_second > 1e6


def test_the_fastest_call_counts_but_not_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 0.0, 5.0, 5.0, 5.0, 6.0, 6.0, 6.0, 9.0, 9.0])
    monkeypatch.setattr("ganbench.training.roofline.perf_counter", lambda: next(moments))
    monkeypatch.setattr("ganbench.training.roofline.MEASURED_SECONDS", 8.0)
    goes = []
    assert best_seconds(lambda: goes.append(1), CPU) == 1.0
    assert len(goes) == 4
