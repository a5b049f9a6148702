"""The contract of datasets."""

from __future__ import annotations

import pickle
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import torch
from torch.utils.data import TensorDataset

from ganbench.data.contract import changes_between_reads
from ganbench.errors import describe
from ganbench.plugin.interfaces import ImageData, Split
from ganbench.plugin.registrations import DatasetContext, DatasetPlugin

from .contract import SEED, PluginContract

CHECKED_ITEMS = 100  # of each split
COUNTED_ITEMS = 1000  # in smaller train splits, all labels are counted
CHANNELS = {"grayscale": 1, "RGB": 3}


class DatasetContract(PluginContract):
    """Set `data_dir` to the folder for the dataset's files."""

    plugin: ClassVar[DatasetPlugin]
    data_dir: ClassVar[Path] = Path()

    def context(self) -> DatasetContext:
        return DatasetContext(data_dir=self.data_dir, cache_dir=self.new_folder(), seed=SEED)

    def splits(self, data: ImageData) -> list[Split]:
        return [data.train] if data.test is None else [data.train, data.test]

    def streamed(self, data: ImageData) -> list[Split]:
        """Return the splits that are read item by item."""
        return [split for split in self.splits(data) if type(split) is not TensorDataset]

    def test_splits_are_images_or_vectors_of_one_shape_with_labels_in_range(self) -> None:
        """Items are pairs of an image, uint8 `(channels, height, width)`, or of a vector, float32 `(features,)`, and a
        label from 0 to `num_classes - 1`.
        """
        data: ImageData = self.build()
        for split in self.splits(data):
            for index in range(0, len(split), max(1, len(split) // CHECKED_ITEMS)):
                image, label = split[index]
                got = f"got {image.dtype} of shape {tuple(image.shape)} at index {index}"
                assert image.dtype == {3: torch.uint8, 1: torch.float32}.get(image.dim()), (
                    f"expected uint8 (channels, height, width) or float32 (features,), {got}"
                )
                assert tuple(image.shape) == data.data_shape, f"expected shape {data.data_shape}, {got}"
                assert 0 <= int(label) < data.num_classes, (
                    f"expected labels from 0 to {data.num_classes - 1}, got {int(label)} at index {index}"
                )

    def test_an_item_is_the_same_when_it_is_read_again(self) -> None:
        """Random changes of the images, such as flips, are the engine's task: the reference data must not have them."""
        data: ImageData = self.build()
        for name, split in zip(("train", "test"), self.splits(data), strict=False):
            _, changing = changes_between_reads(split)
            assert not changing, f"expected the same images and labels in two reads of the {name} split, got others"

    def test_the_fingerprint_is_a_reproducible_sha256(self) -> None:
        """Two builds have the same fingerprint, of 64 hexadecimal digits, which identifies the data."""
        first, second = self.build().fingerprint, self.build().fingerprint
        assert first == second, f"expected equal fingerprints of two builds, got {first} and {second}"
        assert re.fullmatch("[0-9a-f]{64}", first), f"expected 64 hexadecimal digits, got {first!r}"

    def test_label_counts_are_those_of_the_train_split(self) -> None:
        """`label_counts`, if given, has the number of train images per class, indexed by label; in large splits, only
        their sum and some labels are checked.
        """
        data: ImageData = self.build()
        counts = data.label_counts
        if counts is None:
            self.skip("the dataset has no label_counts, which only conditional models on streamed splits need")
        assert len(counts) == data.num_classes, f"expected {data.num_classes} counts, got {len(counts)}"
        assert sum(counts) == len(data.train), f"expected counts with the sum {len(data.train)}, got {sum(counts)}"
        step = 1 if len(data.train) <= COUNTED_ITEMS else len(data.train) // CHECKED_ITEMS
        found = Counter(int(data.train[index][1]) for index in range(0, len(data.train), step))
        for label, count in enumerate(counts):
            assert count == found[label] or (step > 1 and count > found[label]), (
                f"expected {'at least ' if step > 1 else ''}{found[label]} images with the label {label}, got a count "
                f"of {count}"
            )

    def test_worker_processes_can_read_it(self) -> None:
        """Splits that are read item by item can be pickled, even after reads, and a copy has the same items."""
        data: ImageData = self.build()
        if not self.streamed(data):
            self.skip("all splits are tensors in memory, which need no worker processes")
        for split in self.streamed(data):
            image, _ = split[0]  # a file that is open since then must not be pickled
            try:
                copied = pickle.loads(pickle.dumps(split))
            except Exception as error:
                raise AssertionError(f"expected splits that can be pickled, got {describe(error)}") from None
            assert torch.equal(copied[0][0], image), "expected the same item 0 of a pickled copy, got another one"

    def test_the_summary_has_the_right_numbers(self) -> None:
        """With default options, sizes ("28x28"), classes, channels ("grayscale", "RGB") and counts ("60,000 + 10,000")
        in the summary are those of the data.
        """
        if self.validated(self.options) != self.validated({}):
            self.skip("the summary describes the data with default options")
        data: ImageData = self.build()
        if data.notice:
            self.skip(f"the data is not that of the summary: {data.notice}")
        for claim, truth in self.claims(data):
            assert claim == truth, f"expected a summary with {truth or 'no such number'!r}, got {claim!r}"

    def claims(self, data: ImageData) -> Iterator[tuple[str, str]]:
        """Yield what the summary says, and what it should say instead; "" for something that does not apply."""
        shape, is_image = data.data_shape, len(data.data_shape) == 3
        test_images = 0 if data.test is None else len(data.test)
        for pattern, truth in (
            (r"\d+x\d+", "x".join(map(str, shape[1:])) if is_image else ""),
            (r"\d+-D", "" if is_image else f"{shape[0]}-D"),
            (r"\d+ classes", f"{data.num_classes} classes"),
            (r"[\d,]+ \+ [\d,]+", f"{len(data.train):,} + {test_images:,}"),
        ):
            if found := re.search(pattern, self.plugin.summary):
                yield found[0], truth
        for word, channels in CHANNELS.items():
            if word in self.plugin.summary:
                yield word, word if shape[0] == channels else ""
