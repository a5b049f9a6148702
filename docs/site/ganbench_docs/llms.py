"""llms.txt (https://llmstxt.org): what is where on the site, for tools that read Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .markdown import sentence

INTRODUCTION = """\
# ganbench

> A plugin-based framework to benchmark GANs: it trains a generator against a discriminator, measures training speed, \
scores the generated images, and stores one result file with everything that the numbers depend on.

- Everything is a plugin with a name: `ganbench list` lists all, and `ganbench show NAME` prints options, which \
`-o PATH=VALUE` sets. Both have `--json`.
- Scores are comparable only if their protocols are equal; `ganbench compare` and `leaderboard` rank no others.
- The installed package has a file `llms.txt` next to its code, which says what to read there.
"""


def llms_txt(sections: Mapping[str, Sequence[tuple[str, str, str]]]) -> str:
    """Return llms.txt; each section has pages as title, path of the Markdown file and text."""
    parts = [INTRODUCTION]
    for section, pages in sections.items():
        lines = [f"- [{title}]({path}): {description(text)}".rstrip(": ") for title, path, text in pages]
        parts.append("\n".join([f"## {section}\n", *lines]) + "\n")
    return "\n".join(parts)


def description(markdown: str) -> str:
    """Return the first sentence of a page's prose, without links; empty if there are only lists."""
    blocks = re.sub(r"<!--.*?-->|```.*?```", "", markdown, flags=re.DOTALL).split("\n\n")
    first = next((block.strip() for block in blocks if re.match(r"\s*(\w|`|\[|\*\*)", block)), "")
    return sentence(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", first)).rstrip(".")
