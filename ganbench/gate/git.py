"""git, wherever it is asked from: a hook of git's own included."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

from ganbench.errors import UsageError

# that git hands to its hooks, as `git rev-parse --local-env-vars` lists them; settings such as safe.directory are kept
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


def git(*arguments: str, or_else: str, more: Mapping[str, str] | None = None) -> str:
    """What git prints. Raises `UsageError` with `or_else` and git's own words where it fails."""
    try:
        finished = subprocess.run(
            ["git", *arguments],
            capture_output=True,
            text=True,
            errors="surrogateescape",  # as Python reads names of files
            env=without_git_locals() | dict(more or {}),
            process_group=0,  # a Ctrl-C is ours alone
        )
    except FileNotFoundError:
        raise UsageError(f"{or_else} (there is no git on this machine)") from None
    if finished.returncode:
        words = " ".join(finished.stderr.split())
        raise UsageError(f"{or_else} ({words})" if words else or_else)
    return finished.stdout.strip()


def without_git_locals() -> dict[str, str]:
    """The environment, without what points git to one repository: in a hook, it would write into that commit."""
    return {name: value for name, value in os.environ.items() if name not in GIT_LOCAL}
