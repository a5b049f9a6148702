"""Opens a dataset: builds it, checks it, and identifies its content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from ganbench.data.contract import DARK, changes_between_reads, check_data, explain_dark, highest_value
from ganbench.data.labels import known_label_counts
from ganbench.plugin.interfaces import ImageData
from ganbench.plugin.registrations import DatasetContext
from ganbench.results.schema import DataRecord
from ganbench.spec.configs import DatasetConfig
from ganbench.system.files import cache_dir

from .identity import copied_test_images, data_content
from .real_data import REAL_DATA_SEED
from .sampling import evaluation_context

MAX_COPIED = 0.01  # fraction of the test images; published datasets have a few that are train images, too


def open_dataset(
    config: DatasetConfig, seed: int, device: torch.device, data_dir: Path, warn: Callable[[str], None]
) -> tuple[ImageData, DataRecord]:
    """Build the dataset, check both splits, and hash their content.

    Raises `PluginError` for a dataset that raises or breaks its contract.
    """
    plugin = str(config.plugin)
    built: ImageData = config.build(DatasetContext(data_dir=data_dir, cache_dir=cache_dir(), seed=seed))
    with evaluation_context(seed, device):  # a dataset may use random numbers to read an image
        data = check_data(built, plugin)
        data_shape = data.data_shape
        splits = {"train": data.train, "test": data.test}
        changing = {name: changes_between_reads(split) for name, split in splits.items() if split is not None}
        highest = highest_value(data.train)
    # a constant, so that the hash of random transforms does not depend on the seed of the run
    with evaluation_context(REAL_DATA_SEED, device):
        content_sha256, content_basis = data_content(data, config)
    warnings = []
    if highest is not None and highest < DARK:
        warnings.append(
            f"{plugin}: no value of the examined train images is above {highest}, of 255; {explain_dark(highest)}"
        )
    if data.test is not None and (copied := copied_test_images(data)) > MAX_COPIED * len(data.test):
        warnings.append(
            f"{plugin}: {copied:,} of {len(data.test):,} test images are exact copies of train images, so memorized "
            "images score well, and the score of real data is better than a perfect generator's; remove the copies"
        )
    if any(irreproducible for irreproducible, _ in changing.values()):
        warnings.append(
            f"{plugin}: an image differs between two reads with equal seeds, so neither training nor scores can be "
            "reproduced; use the default random number generators of torch, Python or NumPy"
        )
    for message in warnings:
        warn(message)
    record = DataRecord(
        source=data.source,
        fingerprint=data.fingerprint,
        content_sha256=content_sha256,
        content_basis=content_basis,
        train_images=len(data.train),
        test_images=0 if data.test is None else len(data.test),
        notice=data.notice,
        data_shape=data_shape,
        num_classes=data.num_classes,
        label_counts=known_label_counts(data),
        random_splits=[name for name, (_, is_random) in changing.items() if is_random],
        warnings=warnings,
    )
    return data, record
