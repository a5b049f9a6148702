"""Finds the files of an image folder, and assigns each a split and a class by its path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganbench import DataError, UsageError, find_files

Invalid = dict[Path, str]  # the reason for each path that cannot be an image
# in lower case; only `train` and `test` are splits
SPLIT_NAMES = ({"train", "training"}, {"test", "testing", "val", "valid", "validation"})


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

    Raises `UsageError` if it is not a folder, and `DataError` if there are no files, for a class without files, for
    splits with different classes, and for splits with other names than train and test.
    """
    if not root.is_dir():
        raise UsageError(f"image-folder: {root.absolute()}: no such folder; set dataset.path to a folder of images")
    invalid: Invalid = {}
    has_train, has_test = ((root / split).is_dir() for split in ("train", "test"))
    if has_test and not has_train:
        raise DataError(
            f"image-folder: {root} has a folder test, but no folder train; move the other images into a folder train, "
            "or rename the folder test if it is a class"
        )
    if not has_train:
        refuse_other_split_names(root)
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
    names = sorted(path.name for path in root.iterdir() if not path.name.startswith("."))
    unused = [name for name in names if name not in ("train", "test")] if has_train else []
    return Scan(train, test, classes, has_test, invalid, unused)


def refuse_other_split_names(root: Path) -> None:
    """Raise `DataError` for folders such as Train and Test, which would be two classes that mix the splits."""
    folders = sorted(path.name for path in root.iterdir() if path.is_dir())
    splits = [[name for name in folders if name.lower() in names] for names in SPLIT_NAMES]
    if all(splits):
        train, test = (names[0] for names in splits)
        raise DataError(
            f"image-folder: {root} has the folders {train} and {test}, which would be classes; rename them to train "
            "and test if they are splits, or else to other names"
        )


def scan_split(root: Path, invalid: Invalid) -> tuple[list[str], list[FoundFile]]:
    """Return the names of the classes, and the files sorted by class and path."""
    found = find_files(root)
    invalid |= found.invalid
    classes = found.subfolders
    if not classes:
        files = [FoundFile(path, 0) for path in found.files]
    else:
        loose = [path for path in found.files if path.parent == root]
        invalid |= dict.fromkeys(loose, "not in the folder of a class")
        class_of = {path: path.relative_to(root).parts[0] for path in found.files if path.parent != root}
        files = [FoundFile(path, classes.index(name)) for path, name in class_of.items()]
        bad = {path.relative_to(root).parts[0] for path in found.invalid if path != root}
        empty = [str(root / name) for name in classes if name not in bad | set(class_of.values())]
        if empty and (files or invalid):
            raise DataError(
                f"image-folder: no images in {', '.join(empty)}. Each folder in {root} is a class; add images to it, "
                "or remove it"
            )
    if not files and not invalid:
        raise DataError(f"image-folder: no images in {root}; set dataset.path to a folder of images")
    return classes, files


def split_randomly(files: list[FoundFile], test_fraction: float, seed: int) -> tuple[list[FoundFile], list[FoundFile]]:
    """Return the train and the test split; each keeps the order of the files."""
    count = round(test_fraction * len(files))
    # RandomState: unlike those of numpy's newer generators, its numbers never change
    selected = set(np.random.RandomState(seed).permutation(len(files))[:count].tolist())
    train = [file for index, file in enumerate(files) if index not in selected]
    return train, [file for index, file in enumerate(files) if index in selected]
