"""The result of an evaluation: a result without training, which `compare` accepts next to those of runs."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

from ganbench.results.environment import describe_environment
from ganbench.results.layout import new_id
from ganbench.results.schema import DataRecord, MetricResult, PluginRecord, Result
from ganbench.results.throughput import Memory, Throughput
from ganbench.spec.configs import PluginConfig
from ganbench.spec.evaluation import EvaluationSpec


def build_result(
    name: str,
    spec: EvaluationSpec,
    plugins: list[PluginConfig],
    data: DataRecord,
    metrics: list[MetricResult],
    device: str,
) -> Result:
    """Return the result; `name` is that of the images or of the run's benchmark, `plugins` are all that were used."""
    now, plain = datetime.now(UTC), spec.to_dict()
    return Result(
        run_id=new_id(now),
        created_at=now,
        status="completed",
        message="evaluation only",
        benchmark=name,
        spec=plain,
        spec_sha256=hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest(),
        plugins=[PluginRecord.model_validate(config.plugin.record()) for config in plugins],
        environment=describe_environment(device),
        data=data,
        history=[],
        throughput=Throughput.without_training(),
        memory=Memory(device_peak_bytes=None, host_peak_rss_bytes=None),
        metrics=metrics,
        artifacts={},
    )
