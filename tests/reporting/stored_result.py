"""A result with everything that tables show, made without training."""

from __future__ import annotations

from datetime import UTC, datetime

from ganbench.results.schema import DataRecord, Environment, EpochRow, MetricPoint, MetricResult, Result
from ganbench.results.throughput import (
    ComponentThroughput,
    EngineRecord,
    GPUReading,
    Memory,
    Percentiles,
    Roofline,
    Throughput,
    Window,
)

NOTICE = "using the EMBEDDED SUBSET of 5,000 images"


def row(epoch: int, d_loss: float | None = 0.5) -> EpochRow:
    return EpochRow(
        epoch=epoch, d_loss=d_loss, g_loss=2.5, real_score=0.7, fake_score=0.2, images=5000, seconds=10.0,
        images_per_second=500.0,
    )  # fmt: skip


def result(**changes: object) -> Result:
    curve = [MetricPoint(epoch=0, images=0, value=12.5), MetricPoint(epoch=1, images=5000, value=4.0)]
    fid = MetricResult(
        id="fid", name="fid", label="FID (fashion-cnn)", value=4.0, higher_is_better=False, best=curve[1], curve=curve,
        real_data_score=0.05, real_data_samples=5000,
        protocol={"extractor": "fashion-cnn", "split": "test"}, software={"torch": "2.14.1"},
    )  # fmt: skip
    reading = GPUReading(joules=62.5, sm_clock_mhz=1500, throttled_by=["sw_power_cap"])
    roofline = Roofline(
        flops_per_image=1e9, state_bytes_per_step=2**20, matmul_flops_per_second=2e12, copy_bytes_per_second=1e11
    )
    base = Result(
        run_id="x", created_at=datetime.now(UTC), status="completed", benchmark="dcgan-fashion",
        spec={"training": {"batch_size": 50}},
        spec_sha256="0", plugins=[], environment=Environment(must_match={}, may_differ={}),
        data=DataRecord(
            source="embedded", fingerprint="0", content_sha256="0", content_basis="all images", train_images=5000,
            test_images=1000, notice=NOTICE,
        ),
        history=[row(1)],
        throughput=Throughput(
            images_per_second=Percentiles(median=500, p10=480, p90=510), seconds_per_kimg=2.0,
            windows=[Window(epoch=1, images=5000, seconds=10.0, dispatch_seconds=2.5, device_seconds=9.5, gpu=reading)],
            warmup_seconds=1.5, evaluation_seconds=3.25, phases={"data": 0.1, "discriminator": 0.4, "generator": 0.5},
            component_throughput=ComponentThroughput(data_only=9000, compute_only=510),
            roofline=roofline, joules_per_image=0.0125,
            engine=EngineRecord(name="cuda_graph", requested="auto", verified_steps=3, eager_nondeterminism=0.0),
            conditions={"engine": "cuda_graph"},
        ),
        memory=Memory(device_peak_bytes=None, host_peak_rss_bytes=2**30), metrics=[fid],
        artifacts={"losses": "losses.png"},
    )  # fmt: skip
    return base.model_copy(update=changes)
