"""Setup of a process for training on a CPU."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import joblib
import pytest
import torch

from ganbench.runtime.cpu import (
    M_MMAP_MAX,
    M_TRIM_THRESHOLD,
    keep_freed_memory,
    release_freed_memory,
    use_physical_cores,
)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    chosen: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 12)
    monkeypatch.setattr(joblib, "cpu_count", lambda only_physical_cores: 6 if only_physical_cores else 12)
    return chosen


def test_torch_uses_physical_cores(threads: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    use_physical_cores()
    assert threads == [6]


@pytest.mark.parametrize("given", ["3", "3,2"])
def test_the_users_number_of_threads_takes_precedence(
    given: str, threads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    use_physical_cores()
    assert threads == [3]


@pytest.mark.parametrize("given", ["0", "", "many"])
def test_an_invalid_number_of_threads_is_ignored(
    given: str, threads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    use_physical_cores()
    assert threads == [6]


def test_freed_memory_is_kept_with_glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[int, int]] = []
    libc = SimpleNamespace(mallopt=lambda *pair: said.append(pair), malloc_trim=lambda _: None)
    monkeypatch.setattr("ganbench.runtime.cpu.sys", SimpleNamespace(platform="linux"))
    monkeypatch.setattr(ctypes, "CDLL", lambda _: libc)
    keep_freed_memory()
    assert dict(said) == {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1}
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "7")
    release_freed_memory()
    assert dict(said) == {M_MMAP_MAX: 7, M_TRIM_THRESHOLD: 128 * 1024}


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_other_c_libraries_are_not_configured(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganbench.runtime.cpu.sys", SimpleNamespace(platform=platform))
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    keep_freed_memory()
