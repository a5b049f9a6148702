"""A run depends on nothing that was set in its process before, and changes nothing in it."""

from __future__ import annotations

import ctypes
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SMALL, UNSCORED

import ganbench
from ganbench.runtime.precision import FP32_PRECISION
from ganbench.system import openmp

QUICK = [*SMALL, "training.steps=3", "training.batch_size=32", "metrics.0.num_samples=20"]

PROGRAM = """
import json, os, sys
before = dict(os.environ)
import ganbench
from ganbench.system.openmp import openmp_variables
from ganbench.training import roofline, warmup
roofline.MEASURED_SECONDS = warmup.MEASURED_SECONDS = 0.0  # as in the tests; they affect no result
run = ganbench.run("dcgan-fashion", *sys.argv[1:], out="fresh", device="cpu", quiet=True)
unchanged = openmp_variables() == {name: before[name] for name in openmp_variables() if name in before}
print(json.dumps([unchanged, run.result.history_lists(), run.result.scores]))
"""


def state() -> dict[str, Any]:
    """Return the state of torch and the process that a program may have chosen."""
    return {
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.get_deterministic_debug_mode(),
        "threads": torch.get_num_threads(),
        "cudnn": (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark),
        "precision": [flag.fp32_precision for flag, _ in FP32_PRECISION],
        "matmul": torch.get_float32_matmul_precision(),
        "openmp": openmp.openmp_variables(),
        "torch": torch.get_rng_state().tolist(),
        "numpy": np.random.get_state()[1].tolist(),  # type: ignore[index, union-attr]
        "python": random.getstate(),
    }


@pytest.fixture
def restored() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch.set_deterministic_debug_mode("default")
    torch.set_float32_matmul_precision("highest")
    torch.set_num_threads(threads)


@pytest.mark.slow
def test_a_run_equals_one_in_a_fresh_process_whatever_happened_before(restored: None, capfd: Any) -> None:
    command = [sys.executable, "-c", PROGRAM, *QUICK]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    unchanged, history, scores = json.loads(finished.stdout)
    assert unchanged  # OpenMP's variables

    ganbench.run("dcgan-fashion", *UNSCORED, "loss=hinge", steps=2, out="first", device="cpu", quiet=True)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_deterministic_debug_mode("warn")
    torch.set_float32_matmul_precision("medium")
    torch.set_num_threads(2)
    torch.manual_seed(5), random.seed(5), np.random.seed(5)
    before = state()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        second = ganbench.run("dcgan-fashion", *QUICK, out="second", device="cpu", quiet=True)
    assert state() == before
    torch.set_default_device(None)
    again = second.result.history_lists()
    assert second.result.scores == scores
    for name in ("d_loss", "g_loss", "real_score"):
        assert again[name] == history[name]
    for picture in ("real.png", "step-000003.png"):
        assert (second.directory / "samples" / picture).read_bytes() == Path("fresh/samples", picture).read_bytes()


def test_a_failed_run_leaves_the_state_as_found(restored: None) -> None:
    torch.set_default_dtype(torch.float64)
    before = state()
    with pytest.raises(ganbench.GanbenchError):
        ganbench.run("dcgan-fashion", *QUICK, "training.batch_size=1000000", out="run", device="cpu", quiet=True)
    assert state() == before


ALLOCATOR = """
import ctypes, torch
from ganbench.runtime.process_state import fresh_process_state

libc = ctypes.CDLL(None)

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd")]  # and others
    _fields_ += [(f"other{number}", ctypes.c_size_t) for number in range(5)]

libc.mallinfo2.restype, libc.malloc.restype, libc.free.argtypes = Info, ctypes.c_void_p, [ctypes.c_void_p]

def is_mapped(size):  # whether the allocator maps a block of its own, instead of taking it from the heap
    before = libc.mallinfo2().hblks
    block = libc.malloc(ctypes.c_size_t(size))
    mapped = libc.mallinfo2().hblks > before
    libc.free(block)
    return mapped

with fresh_process_state(torch.device("cpu")):
    assert not is_mapped(2**26)
assert is_mapped(2**30)  # more than is free in the heap, whatever ran before
"""


@pytest.mark.skipif(sys.platform != "linux", reason="sets glibc's allocator")
def test_the_allocator_maps_large_blocks_again_after_a_run() -> None:
    if not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("this C library does not report its mapped blocks")
    # in a process of its own: after an allocation has failed in a test, glibc takes memory from another heap
    subprocess.run([sys.executable, "-c", ALLOCATOR], check=True)


def test_openmps_variables_are_as_before_ganbench(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"GOMP_SPINCOUNT": "3"})
    monkeypatch.delitem(sys.modules, "torch")
    openmp.set_wait_policy()
    with openmp.preserve_variables():
        os.environ.update({"GOMP_SPINCOUNT": "4", "KMP_INIT_AT_FORK": "FALSE"})
    assert os.environ == {"GOMP_SPINCOUNT": "3"}
    monkeypatch.setattr(os, "environ", {})
    openmp.set_wait_policy()
    assert os.environ == {"OMP_WAIT_POLICY": "PASSIVE"}
    with openmp.preserve_variables():
        pass
    assert os.environ == {}
