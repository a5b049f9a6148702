"""Executors of suites, selected with `ganbench suite --executor`."""

from __future__ import annotations

from pydantic import Field

from ganbench import Executor, ExecutorContext, ExecutorPlugin, MissingError, Options, hookimpl


class LocalOptions(Options):
    jobs: int = Field(1, ge=1, description="runs at a time; they share the CPU cores and GPUs evenly")
    threads: int | None = Field(
        None, ge=1, description="CPU threads of each run; default: an even share of the cores, kept for the whole suite"
    )


def build_local(options: LocalOptions, context: ExecutorContext) -> Executor:
    from .local import LocalExecutor

    return LocalExecutor(options.jobs, options.threads, context)


class SlurmOptions(Options):
    partition: str | None = Field(None, description="name of the partition; default: the cluster's")
    account: str | None = Field(None, description="account to charge; default: the user's")
    qos: str | None = Field(None, description="quality of service; default: that of the account")
    constraint: str | None = Field(None, description="features that the node must have; default: none")
    minutes: int = Field(24 * 60, ge=1, description="time limit of each cell, in minutes; it is resumed after that")
    timeouts: int = Field(3, ge=0, description="number of times that a cell which reaches its time limit is requeued")
    warning_seconds: int = Field(90, ge=10, description="seconds before the limit at which a cell writes a checkpoint")
    cpus: int = Field(2, ge=1, description="CPUs of each cell; its processes divide them into threads")
    gpus: int = Field(0, ge=0, description="GPUs of each cell")
    memory_gib: float | None = Field(None, gt=0, description="memory of each cell, in GiB; default: the cluster's")
    exclusive: bool = Field(False, description="reserve whole nodes; otherwise, speeds are marked as unreliable")
    array: bool = Field(True, description="submit one job array instead of one job per cell")
    jobs: int = Field(256, ge=1, description="cells of an array that run at a time")
    setup: list[str] = Field([], description="shell commands to run before each cell, such as loading a module")
    poll_seconds: float = Field(10.0, gt=0, description="seconds between queries of Slurm's queue")


def build_slurm(options: SlurmOptions, context: ExecutorContext) -> Executor:
    try:
        from .slurm import SlurmExecutor
    except ImportError as error:
        raise MissingError("executor 'slurm' requires submitit; run pip install 'ganbench[slurm]'") from error

    return SlurmExecutor(options, context)


class RayOptions(Options):
    address: str = Field("auto", description="HOST:PORT of the cluster; auto: the one that this machine belongs to")
    cpus: float = Field(1, gt=0, description="CPUs of each cell; its processes divide them into threads")
    gpus: float = Field(0, ge=0, description="GPUs of each cell; a fraction shares one")
    memory_gib: float | None = Field(
        None, gt=0, description="memory of each cell, in GiB, for scheduling only; default: none"
    )
    retries: int = Field(
        3, ge=-1, description="number of times that Ray itself resumes a cell whose node dies; -1: always"
    )


def build_ray(options: RayOptions, context: ExecutorContext) -> Executor:
    try:
        from .ray_cluster import RayExecutor
    except ImportError as error:
        raise MissingError("executor 'ray' requires Ray; run pip install 'ganbench[ray]'") from error

    return RayExecutor(options, context)


@hookimpl
def ganbench_executors() -> list[ExecutorPlugin]:
    return [
        ExecutorPlugin(
            name="local", summary="Runs on this machine, N at a time", options=LocalOptions, build=build_local
        ),
        ExecutorPlugin(
            name="slurm", summary="Jobs of a Slurm cluster, by submitit", options=SlurmOptions, build=build_slurm
        ),
        ExecutorPlugin(name="ray", summary="Tasks of a Ray cluster", options=RayOptions, build=build_ray),
    ]
