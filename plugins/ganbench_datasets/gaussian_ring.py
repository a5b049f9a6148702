"""A ring of Gaussians in the plane (Metz et al. 2017, arXiv:1611.02163, section 3.1), to see mode collapse.

Points are float32 `(2,)`; a label is the index of the mode, counterclockwise from the positive x-axis. The default is
the published setting: eight modes with standard deviation 0.02 on a circle of radius 2. Srivastava et al. 2017 (VEEGAN,
arXiv:1705.07761) and later work also use a radius of 1.
"""

from __future__ import annotations

from pydantic import Field

from ganbench import DatasetContext, DatasetPlugin, ImageData

from .mixture_options import MixtureOptions


class RingOptions(MixtureOptions):
    modes: int = Field(8, ge=2, description="number of Gaussians")
    radius: float = Field(2.0, gt=0, description="radius of the circle of their centers")
    std: float = Field(0.02, gt=0, description="standard deviation of each Gaussian, in both coordinates")


def build(options: RingOptions, context: DatasetContext) -> ImageData:
    import numpy as np

    from .gaussians import sample_mixture

    angles = 2 * np.pi * np.arange(options.modes) / options.modes
    centers = options.radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return sample_mixture(centers, options.std, options)


PLUGIN = DatasetPlugin(
    name="gaussian-ring",
    summary="2-D points from eight Gaussians on a circle, labeled by mode",
    options=RingOptions,
    build=build,
)
