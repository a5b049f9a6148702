"""Executors of suites, selected with `ganbench suite --executor`."""

from __future__ import annotations

from pydantic import Field

from ganbench import Executor, ExecutorContext, ExecutorPlugin, Options, hookimpl


class LocalOptions(Options):
    jobs: int = Field(1, ge=1, description="runs at once; they share the CPU cores and GPUs evenly")
    threads: int | None = Field(
        None, ge=1, description="CPU threads of each run; default: an even share of the cores, kept for the whole suite"
    )


def build_local(options: LocalOptions, context: ExecutorContext) -> Executor:
    from .local import LocalExecutor

    return LocalExecutor(options.jobs, options.threads, context)


@hookimpl
def ganbench_executors() -> list[ExecutorPlugin]:
    return [
        ExecutorPlugin(name="local", summary="Runs on this machine, N at once", options=LocalOptions, build=build_local)
    ]
