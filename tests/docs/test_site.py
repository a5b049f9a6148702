"""The site builds without a warning, loads nothing from elsewhere, and says what the code says."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ganbench import Registry
from ganbench.errors import ExitCode
from ganbench.plugin.registrations import Buildable

pytest.importorskip("material", reason="the extra `docs` is missing: mkdocs-material")
ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "docs" / "site" / "mkdocs.yml"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as .ci/run builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", CONFIG, "--site-dir", folder]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return folder


class Page(HTMLParser):
    """The addresses that a page loads by itself, its links, and its text."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.text = ""
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag != "a":
            self.loaded += [value for name in ("src", "href") if (value := given.get(name))]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    for file in pages:
        outside = [address for address in Page(file).loaded if re.match(r"\w+:|//", address)]
        assert [address for address in outside if not address.startswith("data:")] == [], file


def test_the_reference_has_every_shipped_plugin_with_its_options(site: Path, registry: Registry) -> None:
    for found in registry.all_plugins():
        if found.provider.distribution != "ganbench":
            continue
        plugin = found.plugin
        text = Page(site / "reference" / "plugins" / plugin.kind.plural / "index.html").text
        assert plugin.name in text
        if isinstance(plugin, Buildable):
            for name, option in plugin.options.model_fields.items():
                assert name in text
                assert (option.description or "").replace("`", "") in text, f"{plugin.name}.{name}"


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("commands", ["ganbench suite status", "--executor-option KEY=VALUE", "Maximum number of times"]),
        ("spec", ["training", "flip each real image horizontally", "integer, at least 1 | null", "list of penalty"]),
        ("result", ["MetricResult", "about that of a perfect generator", "list of MetricPoint", "completed | inter"]),
        ("json", ["LeaderboardRecord", "with at least two common seeds", "new | queued | running"]),
        ("hooks", ["ganbench_feature_extractors", 'ModelPlugin(name="linear"']),
        ("interfaces", ["def input_gradient(self, images", "in torch's notation"]),
        ("python", ["verify_engine: int | None = None", "Raises InvalidImageError for content that is not"]),
        ("exit-codes", [*(str(code.value) for code in ExitCode), "nothing else has this code", "DivergedError"]),
    ],
)
def test_the_reference_has_what_the_code_says(page: str, expected: list[str], site: Path) -> None:
    text = Page(site / "reference" / page / "index.html").text
    for words in expected:
        assert words in text


def test_llms_txt_lists_every_page_as_markdown(site: Path) -> None:
    text = (site / "llms.txt").read_text(encoding="utf-8")
    links = re.findall(r"^- \[.+\]\((.+?)\)", text, re.MULTILINE)
    assert {site / link for link in links} == set(site.rglob("*.md"))
    assert len(links) == len(list(site.rglob("index.html")))
    assert text.startswith("# ganbench\n\n> ")
    described = re.findall(r"^- \[.+\]\(.+\): .{10,}", text, re.MULTILINE)
    assert len(described) == len(links)


def test_the_llms_txt_of_the_package_points_to_files_that_are_there() -> None:
    package = ROOT / "ganbench"
    links = re.findall(r"\]\((.+?)\)", (package / "llms.txt").read_text(encoding="utf-8"))
    assert len(links) > 8
    assert [link for link in links if not (package / link).is_file()] == []
