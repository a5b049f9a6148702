"""Sample images on a terminal: drawn only where the environment says that the terminal can show them."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image
from stored_result import result
from torch import Tensor

from ganbench.plugin.callbacks import Progress, RunInfo, SampleImages
from ganbench.reporting.console import SafeConsole
from ganbench.reporting.plots import cut_grid, draw_grid, save_grid
from ganbench.reporting.terminal.live import LiveDisplay
from ganbench.reporting.terminal.pictures import draw_picture, graphics_protocol

CELL = r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m▀"


@pytest.fixture
def grays(images: Tensor) -> np.ndarray:
    """Ten test images of FashionMNIST, uint8 `(10, 1, 28, 28)`."""
    return ((images[:10] + 1) * 127.5).round().byte().numpy()


def run_info(shape: tuple[int, ...] = (1, 28, 28), generated: int = 10) -> RunInfo:
    spec: dict[str, Any] = {
        "name": "a", "summary": "b", "sample_images": {"generated": generated}, "training": {"epochs": 1},
    }  # fmt: skip
    data = result().data.model_copy(update={"data_shape": shape})
    return RunInfo(spec, "cpu", "a CPU", data, {}, 79, 79, "fp32")


def console_of(width: int = 120, color_system: str | None = "truecolor", **options: Any) -> SafeConsole:
    return SafeConsole(
        file=io.StringIO(), width=width, height=40, force_terminal=True, color_system=color_system, **options
    )  # type: ignore[arg-type]


def printed(file: Path, info: RunInfo, console: SafeConsole, environment: dict[str, str] | None = None) -> str:
    drawn = draw_picture(file, info, console, environment or {})
    if drawn is not None:
        console.print(drawn)
    return console.file.getvalue()


@pytest.fixture
def grid(grays: np.ndarray, tmp_path: Path) -> Path:
    save_grid(grays, tmp_path / "grid.png")
    return tmp_path / "grid.png"


@pytest.mark.parametrize("shape", [(7, 1, 28, 28), (10, 3, 32, 32), (3, 1, 8, 8), (12, 3, 64, 48), (1, 1, 200, 200)])
def test_the_images_of_a_grid_can_be_cut_out_again(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    cut = [np.asarray(image).reshape(*shape[2:], shape[1]) for image in cut_grid(draw_grid(images), *shape[2:])]
    assert len(cut) == -(-len(images) // 5) * 5 if len(images) > 5 else len(images)
    for image, expected in zip(cut, images.transpose(0, 2, 3, 1), strict=False):
        assert np.array_equal(image, expected)


def test_half_blocks_have_every_pixel_where_the_images_fit(grid: Path, grays: np.ndarray) -> None:
    lines = printed(grid, run_info(), console_of(width=120)).splitlines()
    assert len(lines) == 14
    for top, line in zip(range(0, 28, 2), lines, strict=True):
        cells = np.array(re.findall(CELL, line), int)
        assert cells.shape == (4 * 28, 6)  # four images of 28 columns
        expected = np.stack([np.concatenate(grays[:4, 0, row : row + 1], axis=1)[0] for row in (top, top + 1)], axis=1)
        assert np.array_equal(cells[:, [0, 3]], expected)
        assert np.array_equal(cells[:, [0, 3]], cells[:, [2, 5]])


@pytest.mark.parametrize(("width", "count", "side"), [(60, 4, 14), (80, 4, 19), (120, 4, 28), (200, 6, 28)])
def test_images_are_reduced_until_some_fit_side_by_side(width: int, count: int, side: int, grid: Path) -> None:
    lines = printed(grid, run_info(), console_of(width)).splitlines()
    assert len(re.findall(CELL, lines[0])) == count * side
    assert max(len(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in lines) <= width


def test_places_of_the_grid_without_an_image_are_not_shown(tmp_path: Path) -> None:
    save_grid(np.zeros((6, 1, 8, 8), np.uint8), tmp_path / "grid.png")
    text = printed(tmp_path / "grid.png", run_info((1, 8, 8), generated=6), console_of(width=1000))
    assert set(re.findall(CELL, text)) == {("0",) * 6}


@pytest.mark.parametrize(
    "console",
    [
        console_of(color_system="256"), console_of(color_system=None), console_of(no_color=True), console_of(width=40),
        SafeConsole(file=io.StringIO(), color_system="truecolor"),
    ],
    ids=["few colors", "no colors", "NO_COLOR", "narrow", "no terminal"],
)  # fmt: skip
def test_a_terminal_that_cannot_show_images_gets_none(console: SafeConsole, grid: Path) -> None:
    assert printed(grid, run_info(), console) == ""


def test_points_are_not_drawn_in_half_blocks(grid: Path) -> None:
    assert printed(grid, run_info((2,)), console_of()) == ""


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-kitty"}, "kitty"),  # over ssh
        ({"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "iterm2"),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1"}, None),
        ({"TERM": "screen", "TERM_PROGRAM": "iTerm.app"}, None),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux-0/default,1,0"}, None),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, None),
        ({}, None),
    ],
)
def test_the_environment_tells_what_the_terminal_can_do(environment: dict[str, str], protocol: str | None) -> None:
    assert graphics_protocol(environment) == protocol


def test_kitty_gets_the_file_in_short_sequences_and_sends_no_reply(grid: Path) -> None:
    text = printed(grid, run_info((2,)), console_of(color_system="256"), {"TERM": "xterm-kitty"})
    sequences = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", text)
    assert "".join(f"\x1b_G{keys};{data}\x1b\\" for keys, data in sequences) == text.rstrip("\n")
    assert base64.b64decode("".join(data for _, data in sequences)) == grid.read_bytes()
    assert all(len(data) <= 4096 for _, data in sequences)
    assert [keys[-3:] for keys, _ in sequences] == ["m=1"] * (len(sequences) - 1) + ["m=0"] or len(sequences) == 1
    assert "q=2" in sequences[0][0]


def test_iterm2_gets_the_file_at_the_width_of_the_terminal(grid: Path) -> None:
    text = printed(grid, run_info(), console_of(width=50), {"TERM_PROGRAM": "iTerm.app"})
    (keys, data) = re.fullmatch(r"\x1b\]1337;File=(.*?):(.*)\x07\n", text).groups()  # type: ignore[union-attr]
    assert "inline=1" in keys
    assert "width=50" in keys
    assert base64.b64decode(data) == grid.read_bytes()


def test_a_square_picture_is_no_higher_than_a_row_of_images(tmp_path: Path) -> None:
    Image.new("RGB", (500, 500)).save(tmp_path / "scatter.png")
    text = printed(tmp_path / "scatter.png", run_info((2,)), console_of(), {"TERM": "xterm-kitty"})
    assert "c=32," in text


def test_generated_images_are_shown_above_the_view_and_of_many_the_last(
    grays: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TERM", "TERM_PROGRAM", "KITTY_WINDOW_ID", "LC_TERMINAL", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    console = console_of()
    display = LiveDisplay(console)
    monkeypatch.setattr("ganbench.reporting.terminal.lines.run_info_table", lambda _: "")
    display.on_run_start(run_info())
    display.on_window_end(Progress(1, 1, 79, {"g_loss": 1.0}, 500.0, 60.0))
    for name in ("real", "epoch-0001", "epoch-0002", "last"):
        save_grid(grays, tmp_path / f"{name}.png")
        kind: Literal["real", "generated"] = "real" if name == "real" else "generated"
        display.on_sample_images(SampleImages(tmp_path / f"{name}.png", kind, 64))
    display.stop()
    shown = re.findall(r"sample images in (\S+)", console.file.getvalue())
    assert [Path(file).name for file in shown] == ["epoch-0001.png", "last.png"]
    assert len(re.findall(CELL, console.file.getvalue())) == 2 * 14 * 4 * 28


def test_a_picture_that_cannot_be_read_leaves_the_terminal_usable(
    grays: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganbench.reporting.terminal.lines.run_info_table", lambda _: "")
    console = console_of()
    display = LiveDisplay(console)
    display.on_run_start(run_info())
    display.on_window_end(Progress(1, 1, 79, {"g_loss": 1.0}, 500.0, 60.0))
    save_grid(grays, tmp_path / "shown.png")
    for name in ("shown", "deleted"):  # the second one waits for the end, as the first was shown a moment ago
        display.on_sample_images(SampleImages(tmp_path / f"{name}.png", "generated", 64))
    with pytest.raises(FileNotFoundError):
        display.stop()
    assert console.file.getvalue().rstrip("\n").endswith("\x1b[?25h")
