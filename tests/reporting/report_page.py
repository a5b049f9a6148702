"""Runs to report, and the page of a report as a tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from command_line import run_command
from test_report import result
from torch import Tensor

from ganbench.reporting.plots import save_grid
from ganbench.results.schema import EpochRow, PluginRecord, ReferenceResult, Result
from ganbench.results.target import Evaluation, TargetResult

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>\x1b[31m</style>{{ 7 * 7 }}[bold]"
SHOWN = EVIL.replace("\x1b", "\\x1b")
VOID = {"meta", "img", "input", "br", "link", "base"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    children: list[Element | str] = field(default_factory=list)

    def find(self, *tags: str) -> list[Element]:
        """All elements beneath this one with one of these tags; any if none is given."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                found += [child] if child.tag in tags or not tags else []
                found += child.find(*tags)
        return found

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)


class Page(HTMLParser):
    """Builds a tree, and fails if the page is not well-formed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]
        self.feed(html)
        assert self.open == [self.root], "elements that are never closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def save_run(folder: Path, written: Result, images: Tensor, steps: Sequence[str]) -> Path:
    """Write the directory of a run with real images as its samples."""
    grid = ((images[:8].numpy() + 1) * 127.5).astype(np.uint8)
    (folder / "samples").mkdir(parents=True)
    files = [f"samples/{stem}.png" for stem in ("real", *steps)]
    for file in files:
        save_grid(grid, folder / file)
    listed = written.model_copy(update={"artifacts": {file: file for file in files}})
    (folder / "result.json").write_text(listed.to_json(), encoding="utf-8")
    return folder


def invoke(*arguments: object) -> tuple[int, str]:
    outcome = run_command("report", *arguments)
    return outcome.exit_code, outcome.output


def report(*runs: Path) -> Element:
    code, output = invoke(*runs, "--out", "page.html")
    assert code == 0, output
    return Page(Path("page.html").read_text(encoding="utf-8")).root


def history(*losses: float | None) -> list[EpochRow]:
    rows = [{"d_loss": loss, "g_loss": 2.0, "real_score": 0.5} for loss in losses]
    rest = {"images": 5000, "seconds": 10.0, "images_per_second": 500.0}
    return [EpochRow.model_validate({"epoch": epoch, **row, **rest}) for epoch, row in enumerate(rows, 1)]


def hostile() -> Result:
    """A result in which every free text is an attack."""
    fid = (
        result()
        .metrics[0]
        .model_copy(
            update={
                "label": EVIL,
                "protocol": {EVIL: EVIL, "extractor": EVIL},
                "software": {EVIL: EVIL},
                "warnings": [EVIL],
            }
        )
    )
    row = {"epoch": 1, "d_loss": 0.5, "g_loss": 1.0, "images": 5000, "seconds": 10.0, "images_per_second": 500.0}
    base = result()
    return result(
        benchmark=EVIL,
        status="failed",
        message=EVIL,
        run_id=EVIL,
        spec={"summary": EVIL, "model": {EVIL: EVIL}, "training": {"batch_size": 50, "seed": None}},
        plugins=[PluginRecord(kind=EVIL, name=EVIL, distribution=EVIL, version=EVIL, source=EVIL)],
        environment=base.environment.model_copy(update={"must_match": {"device": EVIL, EVIL: EVIL}}),
        data=base.data.model_copy(update={"notice": EVIL, "source": EVIL}),
        history=[EpochRow.model_validate({**row, EVIL: 0.5})],
        throughput=base.throughput.model_copy(update={"disturbed_by": EVIL}),
        metrics=[fid],
        targets=[
            TargetResult(
                metric="fid", label=EVIL, value=5.0, higher_is_better=False, stop=False, missed=None,
                reached=Evaluation(images=5000, seconds=10.0, joules=None, value=4.0),
            )
        ],
        references=[
            ReferenceResult(
                label=EVIL, metric=EVIL, value=4.0, std=None, band=0.5, source=EVIL, note=EVIL, measured=4.0,
                verdict="not comparable", differences=[EVIL],
            )
        ],
    )  # fmt: skip
