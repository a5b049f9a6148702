"""The page of exit codes, and of the errors behind them."""

from __future__ import annotations

import inspect
import re

from ganbench import errors
from ganbench.errors import ExitCode, GanbenchError

from .markdown import page, sentence, table, text


def exit_codes_page() -> str:
    meanings = dict(re.findall(r"(\w+) = \d+  # (.+)", inspect.getsource(ExitCode)))
    codes = table(["Code", "Meaning"], [[f"`{code.value}`", text(meanings[code.name])] for code in ExitCode])
    raised = [
        [f"`{name}`", f"`{error.exit_code.value}`", text(sentence(inspect.getdoc(error) or ""))]
        for name, error in vars(errors).items()
        if isinstance(error, type) and issubclass(error, GanbenchError)
    ]
    return page(
        "Exit codes",
        "What the exit code of every `ganbench` command means. Scripts may rely on them: code 1 is a regression and "
        "nothing else.",
        codes,
        "## Errors",
        "The errors behind the codes. From Python, all are subclasses of `ganbench.GanbenchError`.",
        table(["Error", "Code", "Meaning"], raised),
    )
