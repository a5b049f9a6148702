"""Markdown: tables, code blocks and escaped text."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Sequence

CODE_SPAN = re.compile(r"(`+[^`]+`+)")


def text(words: str) -> str:
    """Escape what would be HTML or emphasis, except in `code`."""
    return _outside_code(" ".join(words.split()), lambda part: re.sub(r"([*_\[\]])", r"\\\1", html.escape(part, False)))


def _outside_code(words: str, change: Callable[[str], str]) -> str:
    return "".join(part if index % 2 else change(part) for index, part in enumerate(CODE_SPAN.split(words)))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; the cells are Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(_outside_code(cell, _escape_pipes) for cell in line)} |\n" for line in lines)


def _escape_pipes(words: str) -> str:
    return words.replace("|", "\\|")


def code(source: str, language: str = "python") -> str:
    return f"```{language}\n{source.strip()}\n```\n"


def collapsed(title: str, block: str) -> str:
    """Return a block that opens on a click."""
    indented = "".join(f"    {line}".rstrip() + "\n" for line in block.splitlines())
    return f'??? note "{title}"\n\n{indented}'


def sentence(words: str) -> str:
    """Return the first sentence of the first paragraph."""
    paragraph = " ".join(words.strip().split("\n\n")[0].split())
    return re.split(r"(?<=[.!?]) (?=[A-Z`])", paragraph)[0].rstrip(":")


def page(title: str, *blocks: str) -> str:
    return "\n".join([f"# {title}\n", *(block if block.endswith("\n") else f"{block}\n" for block in blocks)])
