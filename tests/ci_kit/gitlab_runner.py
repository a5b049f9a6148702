"""Run the job of the GitLab template as a runner does: its script until a command fails, then its after_script."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import yaml

TEMPLATE = Path(__file__).parents[2] / ".gitlab" / "check.yml"


@dataclass
class Job:
    """A job that has ended."""

    definition: dict[str, Any]  # with the inputs
    code: int  # of the script
    output: str  # of both scripts
    after_code: int


def definition(inputs: Mapping[str, str]) -> dict[str, Any]:
    """Return the only job of the template, with these inputs."""
    header, content = yaml.safe_load_all(TEMPLATE.read_text(encoding="utf-8"))
    declared = header["spec"]["inputs"]
    assert not inputs.keys() - declared.keys(), "unknown inputs"
    required = {name for name, details in declared.items() if "default" not in details}
    assert not required - inputs.keys(), "missing inputs"
    values = {name: details.get("default", "") for name, details in declared.items()} | dict(inputs)
    ((name, job),) = content.items()
    interpolated: dict[str, Any] = interpolate(job, values)
    assert interpolate(name, values) == values["name"]
    return interpolated


def interpolate(value: Any, inputs: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: interpolate(item, inputs) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, inputs) for item in value]
    if isinstance(value, str):
        return re.sub(r"\$\[\[ inputs\.([\w-]+) \]\]", lambda found: inputs[found[1]], value)
    return value


def run(inputs: Mapping[str, str], checkout: Path, environment: Mapping[str, str]) -> Job:
    """Run the job in a checkout. `environment` has the variables of GitLab and of the project."""
    job = definition(inputs)
    variables = {"CI": "true", "GITLAB_CI": "true", "CI_PROJECT_DIR": str(checkout), **environment}
    for name, value in job["variables"].items():
        literal = isinstance(value, dict) and value.get("expand") is False
        variables.setdefault(name, value["value"] if literal else Template(value).safe_substitute(variables))
    ended = [
        subprocess.run(
            ["bash", "-eo", "pipefail", "-c", "\n".join(job[script])],
            cwd=checkout,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for script in ("script", "after_script")
    ]
    return Job(job, ended[0].returncode, ended[0].stdout + ended[1].stdout, ended[1].returncode)
