"""The schema of an evaluation: metrics, and the dataset that images are compared with."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from ganbench.plugin.options import StrictModel

from .benchmark import without_none
from .configs import DatasetConfig, MetricConfig, PluginConfig
from .ids import unique_ids
from .sections import ScoringOptions


class EvaluationSpec(StrictModel):
    """A resolved evaluation: all plugins are found, and all options are validated and set."""

    dataset: DatasetConfig | None = Field(
        None, description="the dataset to compare with; default: none, as the reference is given as files"
    )
    metrics: list[MetricConfig] = Field(description="scores to compute")
    scoring: ScoringOptions = Field(ScoringOptions(), description="how images are generated and scored")

    @field_validator("metrics")
    @classmethod
    def _identify_metrics(cls, metrics: list[MetricConfig]) -> list[MetricConfig]:
        return unique_ids(metrics, "metrics")

    def plugin_configs(self) -> list[PluginConfig]:
        """Return the configs of all plugins, including those nested in options."""
        direct = [*([self.dataset] if self.dataset else []), *self.metrics]
        return [inner for config in direct for inner in config.nested()]

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as plain JSON types, without unset fields."""
        plain: dict[str, Any] = without_none(self.model_dump(mode="json"))
        return plain
