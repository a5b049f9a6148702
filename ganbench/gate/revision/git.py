"""Run git, including from within a git hook."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

from ganbench.errors import UsageError

# set by git for its hooks, as listed by `git rev-parse --local-env-vars`; settings such as safe.directory are kept
GIT_LOCAL = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)


def git(*arguments: str, error: str, env: Mapping[str, str] | None = None) -> str:
    """Return the output of git. Raises `UsageError` with `error` and git's own message if it fails."""
    try:
        finished = subprocess.run(
            ["git", *arguments],
            capture_output=True,
            text=True,
            errors="surrogateescape",  # as Python decodes file names
            env={**without_git_locals(), "GIT_TERMINAL_PROMPT": "0", **(env or {})},
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # so that Ctrl-C does not reach git, and git cannot prompt for passwords
        )
    except FileNotFoundError:
        raise UsageError(f"{error} (git not found)") from None
    if finished.returncode:
        reason = " ".join(finished.stderr.split())
        raise UsageError(f"{error} ({reason})" if reason else error)
    return finished.stdout.strip()


def without_git_locals() -> dict[str, str]:
    """Return the environment without the variables that bind git to a repository.

    With them, a check in a git hook would write into the commit in progress.
    """
    return {name: value for name, value in os.environ.items() if name not in GIT_LOCAL}
