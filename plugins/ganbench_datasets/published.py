"""The options shared by published datasets. Light to import, because listing plugins imports it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ganbench import Options

Source = Literal["auto", "files", "download"]


class PublishedOptions(Options):
    source: Source = Field(
        "auto",
        description="source of the images: local files, torchvision's download, or (auto) the first of these that is "
        "available",
    )
