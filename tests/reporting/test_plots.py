"""The loss plot: its curves, and the position of an unfinished epoch. Scatter plots of points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from ganbench.reporting.plots import save_losses, save_scatter
from ganbench.results.schema import EpochRow


def row(epoch: int, images: int) -> EpochRow:
    return EpochRow(epoch=epoch, d_loss=0.5, g_loss=2.5, images=images, seconds=1.0, images_per_second=images)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The saved figures."""
    figures: list[Figure] = []

    def savefig(figure: Figure, path: Path, **more: Any) -> None:
        figure.canvas.draw()
        figures.append(figure)
        path.touch()

    monkeypatch.setattr(Figure, "savefig", savefig)
    return figures


@pytest.mark.parametrize(("images", "epochs"), [([100, 100], [1, 2]), ([100, 25], [1, 1.25]), ([2], [0.02]), ([], [])])
def test_an_unfinished_epoch_is_drawn_where_it_ended(
    images: list[int], epochs: list[float], drawn: list[Figure], tmp_path: Path
) -> None:
    history = [row(number, count) for number, count in enumerate(images, start=1)]
    save_losses(history, "any", tmp_path / "losses.png", epoch_images=100)
    (axes,) = drawn[0].axes
    assert [list(line.get_xdata()) for line in axes.lines] == [epochs, epochs]
    assert all(tick == int(tick) for tick in axes.get_xticks())


def test_a_player_that_is_absent_has_no_curve(drawn: list[Figure], tmp_path: Path) -> None:
    save_losses([row(1, 1)], "any", tmp_path / "losses.png", players=["generator"])
    assert [line.get_label() for line in drawn[0].axes[0].lines] == ["generator"]


def test_scatter_plots_have_equal_axes_whose_limits_depend_on_real_points_only(
    drawn: list[Figure], tmp_path: Path
) -> None:
    real = np.array([(-2.0, 0.0), (2.0, 1.0)])
    for generated in (None, np.array([(0.0, 0.0)]), np.array([(0.0, 0.0), (9.0, 0.0), (0.0, -7.0)])):
        save_scatter(real, generated, tmp_path / "points.png")
    axes = [figure.axes[0] for figure in drawn]
    assert {(*each.get_xlim(), *each.get_ylim()) for each in axes} == {(-2.5, 2.5, -2.0, 3.0)}
    assert {each.get_aspect() for each in axes} == {1.0}
    assert [each.get_title() for each in axes] == ["", "", "2 of 3 generated points are outside"]


def test_points_that_are_all_equal_are_plotted(drawn: list[Figure], tmp_path: Path) -> None:
    save_scatter(np.zeros((3, 2)), None, tmp_path / "points.png")
    assert drawn[0].axes[0].get_xlim() == (-0.625, 0.625)
