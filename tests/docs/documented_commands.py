"""The commands in Markdown: those in code blocks of shell commands, and those in running text."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

FENCE = re.compile(
    r"(?:^(?P<before>[^\n]*)\n)?^```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^```", re.DOTALL | re.MULTILINE
)
NOT_RUN = re.compile(r"<!-- not run: (?P<reason>.+) -->")
INLINE = re.compile(r"(?<![`\w])`([^`]+)`(?!`)")
ELLIPSES = {"...", "…"}
OPERATORS = {"&&", "||", ";", "|"}


@dataclass(frozen=True)
class DocumentedCommand:
    """A command in a page."""

    page: str
    words: tuple[str, ...]
    complete: bool  # to be pasted; in running text, or with an ellipsis, arguments or values may be missing

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def commands_in(page: str, markdown: str) -> Iterator[DocumentedCommand]:
    """Yield the commands of a page, except those of blocks under the line `<!-- not run: REASON -->`."""
    for block in FENCE.finditer(markdown):
        if block["language"] == "sh" and not NOT_RUN.fullmatch((block["before"] or "").strip()):
            for line in block["code"].replace("\\\n", " ").splitlines():
                for words in split(line):
                    yield DocumentedCommand(page, words, complete=not ELLIPSES & set(words))
    for found in INLINE.finditer(FENCE.sub("", markdown)):
        text = " ".join(found[1].split())
        if re.match(r"(ganbench [a-z-]|(\S+/)?python3? -m \w|pip install |torchrun )", text):
            yield DocumentedCommand(page, next(split(text)), complete=False)


def split(line: str) -> Iterator[tuple[str, ...]]:
    """Split a line of a shell into its simple commands, without comments, redirections and assignments."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words: list[str] = []
    redirected = False
    for word in [*lexer, ";"]:
        if word in OPERATORS:
            if words:
                yield tuple(words)
            words = []
        elif word == ">":
            redirected = True
        elif redirected:
            redirected = False
        elif words or not re.match(r"[A-Z_]+=", word):
            words.append(word)
