"""Pictures on a terminal: by its graphics protocol if it has one, else as colored half blocks, else not at all.

What a terminal can do is found in its environment variables alone. Asking the terminal would require reading its answer
from standard input, which may never come, or come later as garbage in the user's shell.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import ControlType, Segment
from rich.style import Style

from ganbench.plugin.callbacks import RunInfo
from ganbench.reporting.plots import cut_grid

MAX_ROWS = 16  # height of a picture that the terminal draws, if a character is twice as high as wide
KITTY_CHUNK = 4096  # bytes of base64 in an escape sequence
MIN_IMAGES = 4  # in a row of half blocks; they are reduced if they do not fit
MIN_SIDE, MAX_SIDE = 12, 32  # pixels of an image in half blocks; two pixels are as high as a character


def draw_picture(file: Path, info: RunInfo, console: Console, environment: Mapping[str, str]) -> RenderableType | None:
    """Return a file of generated sample images for the terminal; None if it cannot show it, or should not."""
    if console.no_color or not console.is_terminal or console.options.ascii_only:
        return None
    protocol = graphics_protocol(environment)
    if protocol is not None:
        with Image.open(file) as picture:
            columns = min(console.width, 2 * MAX_ROWS * picture.width // picture.height)
        return EscapeSequence(ENCODERS[protocol](file.read_bytes(), columns))
    shape = info.data.data_shape
    if console.color_system != "truecolor" or shape is None or len(shape) != 3:
        return None  # a scatter plot is too fine for half blocks
    with Image.open(file) as picture:
        images = cut_grid(picture.convert("RGB"), *shape[1:])
    return half_blocks(images[: info.spec["sample_images"]["generated"]], console.width)


def graphics_protocol(environment: Mapping[str, str]) -> Literal["kitty", "iterm2"] | None:
    """Return the graphics protocol of the terminal; None within tmux and screen, which do not pass pictures on."""
    terminal, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if "TMUX" in environment or terminal.startswith(("tmux", "screen")):
        return None
    if "KITTY_WINDOW_ID" in environment or terminal in ("xterm-kitty", "xterm-ghostty") or program == "ghostty":
        return "kitty"
    if program in ("iTerm.app", "WezTerm") or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm2"
    return None


def kitty_sequence(png: bytes, columns: int) -> str:
    """Encode a PNG for kitty's graphics protocol; q=2 asks the terminal for no reply.

    Source: https://sw.kovidgoyal.net/kitty/graphics-protocol/
    """
    data = base64.b64encode(png).decode()
    chunks = [data[start : start + KITTY_CHUNK] for start in range(0, len(data), KITTY_CHUNK)]
    keys = [f"a=T,f=100,q=2,c={columns},", *[""] * (len(chunks) - 1)]
    return "".join(
        f"\x1b_G{key}m={int(number < len(chunks))};{chunk}\x1b\\"
        for number, (key, chunk) in enumerate(zip(keys, chunks, strict=True), start=1)
    )


def iterm2_sequence(png: bytes, columns: int) -> str:
    """Encode a PNG for iTerm2's inline images. Source: https://iterm2.com/documentation-images.html"""
    return f"\x1b]1337;File=inline=1;size={len(png)};width={columns}:{base64.b64encode(png).decode()}\a"


ENCODERS = {"kitty": kitty_sequence, "iterm2": iterm2_sequence}


class EscapeSequence:
    """A sequence that the terminal executes, and a line break."""

    def __init__(self, sequence: str) -> None:
        self.sequence = sequence

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Segment]:
        yield Segment(self.sequence, None, [(ControlType.CARRIAGE_RETURN,)])  # a control segment has no width
        yield Segment.line()


def half_blocks(images: list[Image.Image], width: int) -> HalfBlocks | None:
    """Return RGB images of one size side by side, as many as fit `width`; None if they would be too small."""
    image_width, image_height = images[0].size
    room = (width + 1) // MIN_IMAGES - 1
    scale = min(MAX_SIDE / max(images[0].size), room / image_width)
    if scale > 1:
        scale = int(scale)
    elif image_width * scale < MIN_SIDE:
        return None
    size = int(image_width * scale), 2 * round(image_height * scale / 2)
    resampling = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    fitting = images[: (width + 1) // (size[0] + 1)]
    return HalfBlocks([np.asarray(image.resize(size, resampling)) for image in fitting])


class HalfBlocks:
    """Images in a row, uint8 `(height, width, 3)` of an even height: a character is two pixels, one above the other."""

    def __init__(self, images: list[np.ndarray]) -> None:
        self.images = images

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Segment]:
        for top in range(0, len(self.images[0]), 2):
            for number, image in enumerate(self.images):
                if number:
                    yield Segment(" ")
                for upper, lower in zip(image[top].tolist(), image[top + 1].tolist(), strict=True):
                    yield Segment("▀", Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower)))
            yield Segment.line()
