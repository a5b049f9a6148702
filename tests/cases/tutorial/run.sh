#!/usr/bin/env bash
# docs/tutorial.md: from an empty folder to a loss of one's own. Its commands and files are used in their order; only pip
# is replaced, because tests use no network.
# Right: at most 8 commands; the tests of the package pass, before and after the edit; the rules hold; the run completes.
# Wrong: a command fails, or the run has another loss.
. ../env.sh

# what `pip install -e .` does with a package of one module
pip() {
  [ "$*" = "install -e .[test]" ] || fail "not an editable install: pip $*"
  python - <<'P'
import pathlib, tomllib
project = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]
info = pathlib.Path(f"{project['name'].replace('-', '_')}-{project['version']}.dist-info")
info.mkdir()
(info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
((name, module),) = project["entry-points"]["ganbench"].items()
(info / "entry_points.txt").write_text(f"[ganbench]\n{name} = {module}\n")
P
  export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
}

python - >commands.sh <<'P'
import pathlib, re, ganbench
page = (pathlib.Path(ganbench.__file__).parents[1] / "docs" / "tutorial.md").read_text(encoding="utf-8")
commands = 0
for path, language, block in re.findall(r"(?:<!-- file: (\S+) -->\n)?```(\w+)\n(.*?)```", page, re.DOTALL):
    if language == "sh":
        commands += len(block.splitlines())
        for line in block.splitlines():
            print(f"echo '+ {line}'\n{line}")
    else:
        assert path, block
        print(f"cat >{path} <<'END'\n{block}END")
assert 1 <= commands <= 8, commands
P
. ./commands.sh >output.txt 2>&1 || { cat ../output.txt output.txt; fail "a command of the tutorial failed"; }
cat ../output.txt
rules=$(python -c "from ganbench.testing import LossContract, rules_of; print(len(rules_of(LossContract)))")
for tests in "$rules" $((rules + 1)); do # those of the contract; then also the one of the tutorial
  grep -q " $tests passed" ../output.txt || fail "pytest did not pass $tests tests"
done
python - <<'P'
import ganbench, pathlib
(directory,) = pathlib.Path("runs/dcgan-fashion").iterdir()
result = ganbench.load_result(directory)
assert result.status == "completed", result.status
assert result.spec["loss"] == {"name": "huber", "delta": 0.5}, result.spec["loss"]
assert {"real_output", "fake_output"} <= set(result.history[0].monitors)
P
