#!/usr/bin/env bash
# As run.sh, with the oldest version of filelock that pyproject.toml allows.
. ../env.sh

python -m pip install -q --no-deps --target old filelock==3.16.1 || {
  echo "filelock 3.16.1 cannot be installed"
  exit "$SKIP"
}
export PYTHONPATH=$PWD/site:$PWD/old${PYTHONPATH:+:$PYTHONPATH}
[ "$(python -c 'import filelock; print(filelock.__version__)')" = 3.16.1 ] || fail "another version of filelock is used"
expect 0 ganbench run dcgan-fashion "${SMALL[@]}" "${UNSCORED[@]}" --steps 2 --out out
expect_output "^warning: run directory out: the file system does not support locks"
expect_output "^completed$"
