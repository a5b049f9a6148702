"""The kinds of plugins."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """The kinds of plugins; the value is the name on the command line."""

    BENCHMARK = "benchmark"
    MODEL = "model"
    LOSS = "loss"
    DATASET = "dataset"
    METRIC = "metric"
    FEATURE_EXTRACTOR = "feature-extractor"
    OPTIMIZER = "optimizer"
    PENALTY = "penalty"
    AUGMENTATION = "augmentation"
    SCHEDULE = "schedule"
    TRACKER = "tracker"
    EXECUTOR = "executor"

    @classmethod
    def named(cls, text: str) -> Kind | None:
        """Return the kind of this name, singular or plural; None if there is none."""
        return next((kind for kind in cls if text in (kind, kind.plural)), None)

    @property
    def plural(self) -> str:
        """The plural, as in `ganbench list losses`."""
        if self.endswith("y"):
            return f"{self[:-1]}ies"
        return f"{self}es" if self.endswith("s") else f"{self}s"

    @property
    def hook(self) -> str:
        """The hook that registers plugins of this kind, such as `ganbench_losses`."""
        return f"ganbench_{self.plural.replace('-', '_')}"
