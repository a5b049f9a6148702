"""Files are replaced atomically, links and devices are written to; paths without access, and folders of the user."""

from __future__ import annotations

import errno
import os
import time
from contextlib import nullcontext
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ganbench.errors import UsageError
from ganbench.system.files import (
    exists,
    is_dir,
    is_file,
    named_data_dir,
    require_output_file,
    user_dir,
    write_cache,
    write_text,
)


def test_a_link_is_written_to_and_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    for text in ("first", "second"):
        write_text(link, text)
        assert link.is_symlink()
        assert target.read_text() == text


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    write_text(pipe, "summary")
    reader.join(10)
    assert read == ["summary"]
    assert pipe.is_fifo()


def test_a_file_system_that_cannot_flush_a_folder_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flush = os.fsync

    def fail_for_folders(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112 - a link of the kernel
            raise OSError(errno.EINVAL, "Invalid argument")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fail_for_folders)
    write_text(tmp_path / "file", "text")
    assert (tmp_path / "file").read_text() == "text"


def test_partial_files_of_killed_processes_do_not_stay_in_a_cache(tmp_path: Path) -> None:
    names = {"old": ".key.bin.12345678.part.bin", "new": ".key.bin.87654321.part.bin", "cached": "key.bin"}
    cache = tmp_path / "features"
    cache.mkdir()
    for name in names.values():
        (cache / name).touch()
    for name in (names["old"], names["cached"]):
        os.utime(cache / name, (0, time.time() - 25 * 60 * 60))
    write_cache(cache / "layout", b"content")
    assert {file.name for file in cache.iterdir()} == {names["new"], names["cached"], "layout"}


def test_a_path_without_access_does_not_exist(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 300)  # too long a name is an error like a missing permission, also for root
    with pytest.raises(OSError, match="File name too long"):
        path.exists()
    assert not any(test(path) for test in (exists, is_file, is_dir))


@pytest.mark.parametrize(
    ("name", "denied", "problem"),
    [
        ("new", ".", "folder .* cannot be written to"),
        ("old", ".", "folder .* cannot be written to"),  # it is replaced
        ("old", "old", None),
        ("link to old", "old", "--out .*/link to old: cannot be written to"),
        ("link to old", ".", None),
        ("link to new", ".", "folder .* cannot be written to"),
        ("pipe", "pipe", "--out .*/pipe: cannot be written to"),
        ("pipe", ".", None),
    ],
)
def test_an_output_that_could_not_be_written_later_is_refused(
    name: str, denied: str, problem: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old").touch()
    os.mkfifo(tmp_path / "pipe")
    for target in ("old", "new"):
        (tmp_path / f"link to {target}").symlink_to(tmp_path / target)
    monkeypatch.setattr("os.access", lambda path, _: Path(path).resolve() != (tmp_path / denied).resolve())
    with nullcontext() if problem is None else pytest.raises(UsageError, match=problem):
        require_output_file(tmp_path / name, "--out")


def test_a_data_folder_may_be_below_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GANBENCH_DATA", "~")
    assert named_data_dir(None) == named_data_dir(Path("~")) == tmp_path


@pytest.mark.parametrize("kind", ["config", "state", "cache"])
def test_a_user_without_a_home_folder_is_told_what_to_set(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(f"platformdirs.user_{kind}_dir", fail)
    with pytest.raises(UsageError, match=f"the {kind} folder .* unknown, .*; set HOME, or XDG_{kind.upper()}_HOME"):
        user_dir(kind)
