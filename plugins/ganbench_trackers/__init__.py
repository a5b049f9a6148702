"""Trackers, selected with `--track` or in the user's configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ganbench import Callback, Options, TrackerContext, TrackerPlugin, hookimpl


def build_tensorboard(options: Options, context: TrackerContext) -> Callback:
    from .tensorboard import TensorBoard

    return TensorBoard(context)


class WandbOptions(Options):
    project: str | None = Field(None, description="name of the project; default: $WANDB_PROJECT, else ganbench")
    entity: str | None = Field(None, description="user or team; default: $WANDB_ENTITY, else that of the account")
    mode: Literal["online", "offline"] | None = Field(
        None, description="offline: files in the run directory, for `wandb sync`; default: $WANDB_MODE, else online"
    )


def build_wandb(options: WandbOptions, context: TrackerContext) -> Callback:
    from .wandb import WeightsAndBiases

    return WeightsAndBiases(options, context)


class MlflowOptions(Options):
    tracking_uri: str | None = Field(
        None,
        description="server, or database such as sqlite:///mlflow.db; default: $MLFLOW_TRACKING_URI. User and password "
        "of a server are $MLFLOW_TRACKING_USERNAME and $MLFLOW_TRACKING_PASSWORD",
    )
    experiment: str | None = Field(None, description="name of the experiment; default: that of the benchmark")


def build_mlflow(options: MlflowOptions, context: TrackerContext) -> Callback:
    from .mlflow import MLflow

    return MLflow(options, context)


class TrackioOptions(Options):
    project: str = Field("ganbench", min_length=1, description="name of the project")
    space: str | None = Field(
        None, description="Hugging Face Space to log to; default: $TRACKIO_SPACE_ID, else the local database"
    )


def build_trackio(options: TrackioOptions, context: TrackerContext) -> Callback:
    from .trackio import Trackio

    return Trackio(options, context)


@hookimpl
def ganbench_trackers() -> list[TrackerPlugin]:
    return [
        TrackerPlugin(
            name="tensorboard",
            summary="TensorBoard event files in the run directory",
            build=build_tensorboard,
            requires={"tensorboardX": "ganbench[tensorboard]"},
        ),
        TrackerPlugin(
            name="wandb",
            summary="Weights & Biases, online or offline",
            options=WandbOptions,
            build=build_wandb,
            requires={"wandb": "ganbench[wandb]"},
        ),
        TrackerPlugin(
            name="mlflow",
            summary="MLflow, on a server or in a local database",
            options=MlflowOptions,
            build=build_mlflow,
            requires={"mlflow": "ganbench[mlflow]"},
        ),
        TrackerPlugin(
            name="trackio",
            summary="Trackio, in a local database or a Hugging Face Space",
            options=TrackioOptions,
            build=build_trackio,
            requires={"trackio": "ganbench[trackio]"},
        ),
    ]
