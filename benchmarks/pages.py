"""Put generated tables into pages, between two markers."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent


def put_between(page: Path, begin: str, end: str, content: str) -> None:
    """Replace what the page has between the markers, which remain. Raises `ValueError` if one is missing."""
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{page}: no text between {begin.strip()!r} and {end.strip()!r}")
    page.write_text(f"{before}{begin}{content}{end}{after}", encoding="utf-8")
