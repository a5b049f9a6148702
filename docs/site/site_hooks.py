"""What the site has beyond the Markdown files in docs/: generated pages, the picture of the concepts, llms.txt.

Every page is also written as Markdown, at its path in docs/, which is where llms.txt links to.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

from ganbench_docs.llms import llms_txt
from ganbench_docs.pages import generated_pages

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
# where links to files that are no pages lead on the site
PAGE_OF = {
    "../README.md": "index.md",
    "../ganbench/plugin/hookspecs.py": "reference/hooks.md",
    "../ganbench/results/schema.py": "reference/result.md",
    "../ganbench/results/comparison_json.py": "reference/json.md#ganbench-compare",
    "../ganbench/reporting/leaderboard_json.py": "reference/json.md#ganbench-leaderboard",
    "../ganbench/suite/status_json.py": "reference/json.md#ganbench-suite",
    "../ganbench/suite/sweep/sweep_json.py": "reference/json.md#ganbench-sweep",
    "../ganbench/gate/check_json.py": "reference/json.md#ganbench-check",
    "../plugins/ganbench_executors": "reference/plugins/executors.md",
    "examples": "examples.md",
    "quickstart.ipynb": "notebook.md",
}
FROM_ROOT = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
PICTURE = re.compile(r"^!\[([^\]]*)\]\(images/(\w+)\.svg\)$", re.MULTILINE)

markdown_of: dict[str, str] = {}  # by path, of the build in progress
sections: dict[str, list[Any]] = {}  # pages by the title of their tab


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages, and those in the root of the repository."""
    texts = {path: (ROOT / name).read_text(encoding="utf-8") for path, name in FROM_ROOT.items()}
    adapted = {path: text.replace("](docs/", "](").replace("](README.md", "](index.md") for path, text in texts.items()}
    for path, text in {**generated_pages(DOCS), **adapted}.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_nav(nav: Any, config: Any, files: Any) -> None:
    markdown_of.clear()
    sections.clear()
    for item in nav.items:
        sections[item.title] = [page for page in nav.pages if item in page.ancestors]


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Adapt links; put pictures into the page, where their colors follow the page's."""
    if page.file.generated_by is None:
        for target, path in PAGE_OF.items():
            markdown = markdown.replace(f"]({target})", f"]({path})")
    markdown_of[page.file.src_uri] = markdown
    return PICTURE.sub(inline_picture, markdown)


def inline_picture(found: re.Match[str]) -> str:
    lines = (DOCS / "images" / f"{found[2]}.svg").read_text(encoding="utf-8").splitlines()
    svg = "\n".join(line for line in lines if line)  # a blank line would end the HTML
    return f'<div class="picture" role="region" aria-label="{found[1]}" tabindex="0">\n{svg}\n</div>'


def on_post_build(config: Any) -> None:
    """Write the Markdown of all pages, and llms.txt."""
    site = Path(config.site_dir)
    for path, markdown in markdown_of.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(markdown, encoding="utf-8")
    listed = {
        title: [(page.title, page.file.src_uri, markdown_of[page.file.src_uri]) for page in pages]
        for title, pages in sections.items()
    }
    (site / "llms.txt").write_text(llms_txt(listed), encoding="utf-8")
