"""A square grid of Gaussians in the plane (Srivastava et al. 2017, VEEGAN, arXiv:1705.07761), to see mode collapse.

Points are float32 `(2,)`; a label is the index of the mode, row by row from the lower left. The default is the setting
that Lin et al. 2018 (PacGAN, arXiv:1712.04086) publish: 5x5 modes with a spacing of 2 and a standard deviation of 0.05.
"""

from __future__ import annotations

from pydantic import Field

from ganbench import DatasetContext, DatasetPlugin, ImageData

from .mixture_options import MixtureOptions


class GridOptions(MixtureOptions):
    side: int = Field(5, ge=2, description="number of Gaussians on each side of the square")
    spacing: float = Field(2.0, gt=0, description="distance between neighboring centers")
    std: float = Field(0.05, gt=0, description="standard deviation of each Gaussian, in both coordinates")


def build(options: GridOptions, context: DatasetContext) -> ImageData:
    import numpy as np

    from .gaussians import sample_mixture

    row, column = np.divmod(np.arange(options.side**2), options.side)
    centers = options.spacing * (np.stack([column, row], axis=1) - (options.side - 1) / 2)
    return sample_mixture(centers, options.std, options)


PLUGIN = DatasetPlugin(
    name="gaussian-grid",
    summary="2-D points from 25 Gaussians on a square grid, labeled by mode",
    options=GridOptions,
    build=build,
)
