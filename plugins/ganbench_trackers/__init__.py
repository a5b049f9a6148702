"""Trackers, selected with `--track` or in the user's configuration."""

from __future__ import annotations

from ganbench import Callback, MissingError, Options, TrackerContext, TrackerPlugin, hookimpl


def build_tensorboard(options: Options, context: TrackerContext) -> Callback:
    try:
        from .tensorboard import TensorBoard
    except ImportError as error:
        raise MissingError(
            "tracker 'tensorboard' requires tensorboardX; run pip install 'ganbench[tensorboard]'"
        ) from error

    return TensorBoard(context.directory / "tensorboard")


@hookimpl
def ganbench_trackers() -> list[TrackerPlugin]:
    return [
        TrackerPlugin(
            name="tensorboard",
            summary="TensorBoard event files in the run directory",
            build=build_tensorboard,
        )
    ]
