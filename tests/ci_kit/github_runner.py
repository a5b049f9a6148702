"""Run the steps of a composite GitHub action as a runner does, one after the other and without GitHub.

Scripts are run with the command lines of GitHub's shells. Actions that steps use are recorded, but not run.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ACTION = Path(__file__).parents[2] / ".github" / "actions" / "check" / "action.yml"
SHELLS = {"bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"], "python": ["python"]}
STATUS_FUNCTIONS = ("success()", "cancelled()", "always()", "failure()")


@dataclass
class Step:
    """A step that was not skipped."""

    name: str
    uses: str | None
    arguments: dict[str, str]  # `with`, of an action that the step uses
    environment: dict[str, str]
    code: int
    output: str


@dataclass
class Runner:
    """A job in a folder, which is the checkout."""

    checkout: Path
    files: Path  # of the runner: scripts, $GITHUB_ENV and the like
    environment: dict[str, str]  # of the job
    event: str = "pull_request"
    base: str = "main"
    payload: Mapping[str, Any] = field(default_factory=dict)  # of the event
    steps: list[Step] = field(default_factory=list)

    def run(self, inputs: Mapping[str, str], action: Path = ACTION) -> list[Step]:
        """Run the action with these inputs, and return the steps that were not skipped."""
        self.files.mkdir(exist_ok=True)
        (self.files / "event.json").write_text(json.dumps(self.payload))
        definition = yaml.safe_load(action.read_text(encoding="utf-8"))
        defaults = {name: declared.get("default", "") for name, declared in definition["inputs"].items()}
        assert not inputs.keys() - defaults.keys(), "unknown inputs"
        required = {name for name, declared in definition["inputs"].items() if declared.get("required")}
        assert not required - inputs.keys(), "missing inputs"
        self.contexts: dict[str, Any] = {
            "inputs": {**defaults, **inputs},
            "github": {"event_name": self.event},
            "runner": {"os": "Linux"},
            "steps": {},
            "env": {},  # not the environment of the runner's process
        }
        for number, step in enumerate(definition["runs"]["steps"]):
            if self._condition(step.get("if", "success()")):
                self.steps.append(self._run_step(step, self.files / f"step-{number}"))
        return self.steps

    @property
    def summary(self) -> str:
        """The page of the job."""
        return (self.files / "GITHUB_STEP_SUMMARY").read_text(encoding="utf-8")

    def _run_step(self, step: dict[str, Any], script: Path) -> Step:
        environment = {name: self._text(value) for name, value in step.get("env", {}).items()}
        name = step.get("name", step.get("uses", ""))
        if "uses" in step:
            arguments = {key: self._text(value) for key, value in step.get("with", {}).items()}
            return Step(name, step["uses"], arguments, environment, 0, "")
        assert "${{" not in step["run"], f"{name}: text in a script could run anything"
        script.write_text(step["run"], encoding="utf-8")
        files = {kind: self.files / kind for kind in ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.touch()
        process = subprocess.run(
            [*SHELLS[step["shell"]], str(script)],
            cwd=self.checkout,
            env={
                **self.environment,
                **{kind: str(file) for kind, file in files.items()},
                "CI": "true",
                "GITHUB_ACTIONS": "true",
                "GITHUB_ACTION_PATH": str(ACTION.parent),
                "GITHUB_BASE_REF": self.base,
                "GITHUB_EVENT_NAME": self.event,
                "GITHUB_EVENT_PATH": str(self.files / "event.json"),
                "GITHUB_WORKSPACE": str(self.checkout),
                "RUNNER_TEMP": str(self.files),
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for line in files["GITHUB_ENV"].read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition("=")
            self.environment[key] = self.contexts["env"][key] = value
        if "id" in step:
            lines = files["GITHUB_OUTPUT"].read_text(encoding="utf-8").splitlines()
            self.contexts["steps"][step["id"]] = dict(line.split("=", 1) for line in lines)
        return Step(name, None, {}, environment, process.returncode, process.stdout)

    def _condition(self, text: Any) -> bool:
        expression = re.sub(r"^\$\{\{(.*)\}\}$", r"\1", str(text))
        met = bool(self._evaluate(expression))
        return met if any(function in expression for function in STATUS_FUNCTIONS) else met and self._success()

    def _text(self, value: Any) -> str:
        return re.sub(r"\$\{\{(.*?)\}\}", lambda match: str(self._evaluate(match[1])), str(value))

    def _evaluate(self, expression: str) -> Any:
        """Evaluate an expression of the simple kind that the action uses."""
        python = re.sub(r"!(?!=)", " not ", expression).replace("&&", " and ").replace("||", " or ")
        python = re.sub(r"\bsteps\.([\w-]+)\.outputs\b", r"steps['\1']", python)
        python = re.sub(r"(\b(?:inputs|env|github|runner)|steps\[\S+\])\.([\w-]+)", r"\1.get('\2', '')", python)
        functions = {"success": self._success, "cancelled": lambda: False, "hashFiles": lambda *_: "0" * 64}
        return eval(python.strip(), {"__builtins__": {}, **functions, **self.contexts})

    def _success(self) -> bool:
        return all(step.code == 0 for step in self.steps)
