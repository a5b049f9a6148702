"""Locks of folders: who holds one, and that finding out takes no more than reading."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from ganbench.errors import UsageError
from ganbench.system.locks import LOCK, is_locked, locked_folder


def test_a_folder_is_locked_within_the_block_only(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert not is_locked(folder)
    with locked_folder(folder, "the folder", "in use", ""):
        assert is_locked(folder)
        with pytest.raises(UsageError, match="the folder: in use"), locked_folder(folder, "the folder", "in use", ""):
            pass
    assert not is_locked(folder)


def test_whether_a_folder_is_locked_can_be_read_by_all_who_can_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / LOCK).touch()
    modes: list[int] = []
    monkeypatch.setattr("fcntl.flock", lambda file, _: modes.append(fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE))
    assert not is_locked(tmp_path)
    assert modes == [os.O_RDONLY]


def test_a_lock_that_cannot_be_read_or_made_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / LOCK).mkdir()
    assert not is_locked(tmp_path)
    with pytest.raises(UsageError, match="the folder: cannot write to it: Is a directory"):
        locked_folder(tmp_path, "the folder", "", "").__enter__()
