"""The names of a run's sample images: real, epoch-0010 after an epoch, step-000101 within one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from .layout import SAMPLES

REAL = "real"
ARTIFACT = "samples_"  # begins the names of the artifacts
GENERATED = re.compile(r"(epoch|step)-(\d+)")


def generated_name(steps: int, steps_per_epoch: int) -> str:
    """Return the name of images that are generated after a number of steps."""
    epochs, steps_into_epoch = divmod(steps, steps_per_epoch)
    return f"step-{steps:06d}" if steps_into_epoch else f"epoch-{epochs:04d}"


def parse_generated(name: str) -> tuple[str, int] | None:
    """Return "epoch" or "step", and its number, after which images were generated; None for any other name."""
    match = GENERATED.fullmatch(name)
    return (match[1], int(match[2])) if match else None


def sample_file(name: str) -> str:
    """Return the path of images in the run directory."""
    return f"{SAMPLES}/{name}.png"


def sample_artifact(name: str) -> str:
    return ARTIFACT + name.replace("-", "_")


def generated_files(artifacts: Mapping[str, str]) -> list[str]:
    """Return the paths of all generated images among the artifacts of a run, in the order of saving."""
    samples = (file for artifact, file in artifacts.items() if artifact.startswith(ARTIFACT))
    return [file for file in samples if PurePosixPath(file).stem != REAL]
