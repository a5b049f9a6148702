"""docs/python.md tells the truth: its code blocks run one after the other, from an empty folder."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest
import torch

import ganbench

PAGE = (Path(__file__).parent.parent / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SHOWN = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
SHORTER = {"model.width=16": "model.width=4", "num_samples=1000": "num_samples=20", "steps=150": "steps=2"}


@pytest.mark.filterwarnings("ignore:FID")
def test_the_code_of_the_page_runs() -> None:
    names: dict[str, object] = {}
    printed = ""
    for block in BLOCKS:
        for text, shorter in {**SHORTER, "training.steps=20": "training.steps=1"}.items():
            block = block.replace(text, shorter)
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(compile(block, "docs/python.md", "exec"), names)
        printed = output.getvalue()
    assert printed == SHOWN[-1]  # of the block with an error, which is the last one
    run, images = names["run"], names["images"]
    assert isinstance(run, ganbench.Run)
    assert isinstance(images, torch.Tensor)
    assert tuple(images.shape) == (4, 1, 28, 28)
    assert Path("seed-2/result.json").is_file()
    assert "earlier.result.scores == run.result.scores" in PAGE
    assert ganbench.load("first").result.scores == run.result.scores


def test_the_page_names_every_argument_of_run() -> None:
    for name in ganbench.run.__annotations__.keys() - {"return", "benchmark", "overrides", "window_seconds"}:
        assert re.search(rf"`{name}\b|{name}=", PAGE), name
