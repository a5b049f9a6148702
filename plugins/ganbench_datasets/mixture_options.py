"""The options shared by mixtures of Gaussians. Light to import, because listing plugins imports it."""

from __future__ import annotations

from pydantic import Field

from ganbench import Options


class MixtureOptions(Options):
    train_points: int = Field(
        50_000, ge=1, description="number of points in the train split, divided evenly among the modes"
    )
    test_points: int = Field(
        10_000, ge=1, description="number of points in the test split, divided evenly among the modes"
    )
    data_seed: int = Field(0, ge=0, lt=2**32, description="random seed of the points, independent of training.seed")
