"""The images that `ganbench eval` and `ganbench audit` compare with, and metrics that process them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ganbench.errors import UsageError
from ganbench.plugin.interfaces import FeatureMetric, ImageData, Metric
from ganbench.plugin.registrations import BuildContext
from ganbench.results.schema import DataRecord
from ganbench.spec.evaluation import EvaluationSpec
from ganbench.system.files import cache_dir

from .preparation import fit_to_real_images
from .prepared_metric import PreparedMetric
from .real_data import RealData
from .requirements import Subjects, require_real_labels, uses_labels

if TYPE_CHECKING:
    from .eval.samples import GivenImages

DEFAULT_SEED = 42  # of datasets, as in runs
Shape = tuple[int, int, int]  # channels, height, width
Warn = Callable[[str], None]


def require_images(data: ImageData, name: str) -> Shape:
    """Return the shape of a dataset's images. Raises `UsageError` if it consists of vectors."""
    if len(data.data_shape) != 3:
        raise UsageError(f"{name} consists of vectors; only a run's own generator of vectors can be scored, not files")
    return data.data_shape


@dataclass(frozen=True)
class ReferenceData:
    """The images to compare with: a dataset, or files."""

    name: str  # for error messages
    data: ImageData
    record: DataRecord
    files: GivenImages | None = None

    def real_data(self, seed: int, device: torch.device, batch_size: int) -> RealData:
        context = BuildContext(
            data_shape=self.data.data_shape,
            num_classes=self.data.num_classes,
            device=str(device),
            cache_dir=cache_dir(),
            seed=seed,
        )
        return RealData(self.data, self.record, context, batch_size)


def prepare_for_reference(
    spec: EvaluationSpec,
    reference: ReferenceData,
    real_data: RealData,
    conditional: bool,
    warn: Warn,
    generated: str | None = None,
) -> list[PreparedMetric]:
    """Build the metrics, and let them process the reference.

    `generated` is how errors begin to say how many images are scored, if it is not `num_samples` of the metric.
    """
    prepared = []
    subjects = Subjects(None if reference.files is None else f"{reference.name} has", generated)
    for number, config in enumerate(spec.metrics):
        metric = config.build(real_data.context)
        if not isinstance(metric, FeatureMetric | Metric):
            raise UsageError(f"metrics.{number}: {config.plugin} scores networks, not images; choose an image metric")
        if uses_labels(metric) and not conditional:
            raise UsageError(f"metrics.{number}: {config.plugin} requires labels, but the images have none")
        require_real_labels(number, config, metric, reference.name, reference.data.num_classes)
        one = fit_to_real_images(number, config, metric, real_data, reference.name, warn, subjects)
        if reference.files is not None:
            one.protocol |= {"split": "all images", "real_compression": reference.files.protocol["compression"]}
        prepared.append(one)
    return prepared
