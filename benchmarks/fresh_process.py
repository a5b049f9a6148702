"""Measurements in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any


def in_fresh_process(module: str, options: list[str], **environment: str) -> Any:
    """Run a module with options and environment variables, and return the JSON in its last line of output."""
    command = [sys.executable, "-m", module, *options]
    finished = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    if finished.returncode:
        raise SystemExit(f"{module} {' '.join(options)} failed:\n{finished.stderr}")
    return json.loads(finished.stdout.splitlines()[-1])
