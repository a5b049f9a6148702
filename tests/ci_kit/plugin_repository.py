"""A repository that has only a plugin, and the files of docs/ci.md that are pasted into it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from ganbench.authoring.new import Package, write_package
from ganbench.plugin.kinds import Kind

PAGE = Path(__file__).parents[2] / "docs" / "ci.md"
# what `pip install -e .` does with a package of one module, because tests use no network: its metadata goes to a folder
# for packages, and the module stays where it is
INSTALL = "python install.py"
INSTALL_SCRIPT = """
import os, pathlib, tomllib

project = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]
info = pathlib.Path(os.environ["SITE"], f"{project['name'].replace('-', '_')}-{project['version']}.dist-info")
info.mkdir(parents=True)
(info / "METADATA").write_text(f"Metadata-Version: 2.1\\nName: {project['name']}\\nVersion: {project['version']}\\n")
((name, module),) = project["entry-points"]["ganbench"].items()
(info / "entry_points.txt").write_text(f"[ganbench]\\n{name} = {module}\\n")
"""
# a stand-in for ganbench: prints its arguments, writes the outputs of a check, and exits with the code in $CODE
STAND_IN = """#!/usr/bin/env python
import json, os, sys
print(json.dumps(sys.argv[1:]), flush=True)
if sys.argv[1] == "check":
    with open(sys.argv[sys.argv.index("--summary") + 1], "w") as file:
        file.write("### a summary")
    sys.exit(int(os.environ["CODE"]))
"""


def pasted(file: str) -> Any:
    """Return the content of a file that docs/ci.md shows."""
    return yaml.load(pasted_text(file), yaml.BaseLoader)  # in YAML 1.1, the key `on` would be true


def pasted_text(file: str) -> str:
    match = re.search(
        rf"<!-- file: {re.escape(file)} -->\n```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    assert match, file
    return match[1]


def make_repository(folder: Path) -> str:
    """Create a repository with the loss `huber`, whose last commit changes the plugin; return the commit before."""
    write_package(Package("huber", Kind.LOSS), folder)
    (folder / "install.py").write_text(INSTALL_SCRIPT)
    (folder / ".gitignore").write_text("__pycache__\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "Add the plugin")
    module = folder / "ganbench_huber.py"
    module.write_text(module.read_text() + "\n# changed\n")
    git(folder, "commit", "--quiet", "-a", "-m", "Change the plugin")
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD~1")
    return git(folder, "rev-parse", "HEAD~1")


def git(folder: Path, *arguments: str) -> str:
    someone = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    process = subprocess.run(["git", *someone, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return process.stdout.strip()


def job_environment(checkout: Path, stand_in: Path | None = None) -> dict[str, str]:
    """Return the environment of a job: this Python's commands, or a stand-in for `ganbench` in a folder, if given."""
    folders = [str(Path(sys.executable).parent), os.environ["PATH"]]
    if stand_in is not None:
        stand_in.mkdir()
        (stand_in / "ganbench").write_text(STAND_IN)
        (stand_in / "ganbench").chmod(0o755)
        folders.insert(0, str(stand_in))
    site = str(checkout.parent / "site")
    imported = [site, str(checkout), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {
        "PATH": os.pathsep.join(folders),
        "PYTHONPATH": os.pathsep.join(imported),
        "SITE": site,
        "CODE": "0",
    }
