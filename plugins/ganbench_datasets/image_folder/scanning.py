"""Finds the files of an image folder, and assigns each a split and a class by its path."""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganbench import DataError, UsageError

Invalid = dict[Path, str]  # the reason for each path that cannot be an image
LOOP = "symbolic link to a folder that contains it"


@dataclass(frozen=True)
class FoundFile:
    path: Path
    label: int


@dataclass(frozen=True)
class Scan:
    """The files of both splits, in an order that depends only on their paths."""

    train: list[FoundFile]
    test: list[FoundFile]
    classes: list[str]  # names; none if there are no subfolders
    split_by_folders: bool
    invalid: Invalid
    unused: list[str]  # names next to the folders train and test


def scan(root: Path, test_fraction: float, split_seed: int) -> Scan:
    """Find all files below `root`.

    Raises `UsageError` if it is not a folder, and `DataError` if there are no files, for a class without files, and for
    splits with different classes.
    """
    if not root.is_dir():
        raise UsageError(f"image-folder: {root}: no such folder; set dataset.path to a folder of images")
    invalid: Invalid = {}
    names = visible_names(root, invalid)
    has_train, has_test = ((root / split).is_dir() for split in ("train", "test"))
    if has_test and not has_train:
        raise DataError(
            f"image-folder: {root} has a folder test, but no folder train; move the other images into a folder train, "
            "or rename the folder test if it is a class"
        )
    classes, train = scan_split(root / "train" if has_train else root, invalid)
    if has_test:
        test_classes, test = scan_split(root / "test", invalid)
        if test_classes != classes:
            raise DataError(
                f"image-folder: {root}: the folders train and test must have the same classes, but only one of them "
                f"has {', '.join(sorted(set(classes) ^ set(test_classes)))}"
            )
    else:
        train, test = split_randomly(train, test_fraction, split_seed)
    unused = [name for name in names if name not in ("train", "test")] if has_train else []
    return Scan(train, test, classes, has_test, invalid, unused)


def scan_split(root: Path, invalid: Invalid) -> tuple[list[str], list[FoundFile]]:
    """Return the names of the classes, and the files sorted by class and path."""
    names = visible_names(root, invalid)
    classes = [name for name in names if is_folder(root / name)]
    loose = [root / name for name in names if name not in classes]
    for name in list(classes):
        if identity(root / name) == identity(root):
            invalid[root / name] = LOOP
            classes.remove(name)
    if not classes:
        files = [FoundFile(path, 0) for path in valid_files(loose, invalid)]
    else:
        invalid |= dict.fromkeys(loose, "not in the folder of a class")
        files, empty = [], []
        for label, name in enumerate(classes):
            before = len(files) + len(invalid)
            paths = walk(root / name, invalid, {identity(root), identity(root / name)})
            files += [FoundFile(path, label) for path in valid_files(paths, invalid)]
            if len(files) + len(invalid) == before:
                empty.append(str(root / name))
        if empty and (files or invalid):
            raise DataError(
                f"image-folder: no images in {', '.join(empty)}. Each folder in {root} is a class; add images to it, "
                "or remove it"
            )
    if not files and not invalid:
        raise DataError(f"image-folder: no images in {root}; set dataset.path to a folder of images")
    return classes, files


def visible_names(folder: Path, invalid: Invalid) -> list[str]:
    """Return the sorted names in a folder that do not begin with a dot."""
    try:
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        invalid[folder] = reason(error)
        return []


def walk(folder: Path, invalid: Invalid, ancestors: set[tuple[int, int]]) -> Iterator[Path]:
    """Yield the files below a folder, following symbolic links but not loops of them."""
    for name in visible_names(folder, invalid):
        path = folder / name
        if not is_folder(path):
            yield path
        elif identity(path) in ancestors:
            invalid[path] = LOOP
        else:
            yield from walk(path, invalid, ancestors | {identity(path)})


def is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # its folder must not be searched
        return False


def identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def valid_files(paths: list[Path] | Iterator[Path], invalid: Invalid) -> Iterator[Path]:
    """Yield the regular, nonempty files; opening others, such as named pipes, might wait forever."""
    for path in paths:
        try:
            status = path.stat()
        except OSError as error:
            invalid[path] = reason(error)
            continue
        if not stat.S_ISREG(status.st_mode):
            invalid[path] = "not a regular file"
        elif status.st_size == 0:
            invalid[path] = "0 bytes"
        else:
            yield path


def reason(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "loop of symbolic links"
    if error.errno == errno.ENOENT:
        return "broken symbolic link"
    return f"unreadable: {error.strerror or error}"


def split_randomly(files: list[FoundFile], test_fraction: float, seed: int) -> tuple[list[FoundFile], list[FoundFile]]:
    """Return the train and the test split; each keeps the order of the files."""
    count = round(test_fraction * len(files))
    # RandomState: unlike those of numpy's newer generators, its numbers never change
    selected = set(np.random.RandomState(seed).permutation(len(files))[:count].tolist())
    train = [file for index, file in enumerate(files) if index not in selected]
    return train, [file for index, file in enumerate(files) if index in selected]
