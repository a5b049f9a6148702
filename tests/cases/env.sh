# Common to all cases; each script sources it. A script runs in a copy of its folder, and the test sets the environment.
set -euo pipefail
export OMP_NUM_THREADS=1 COLUMNS=200
SKIP=77 # exit code of a script that cannot run here

# options of short runs
CPU=(--device cpu -o sample_images.real=0 -o sample_images.generated=0)
UNSCORED=("${CPU[@]}" -o 'metrics=[]')
SCORED=("${CPU[@]}" -o metrics.0.num_samples=500)
EMBEDDED=(-o dataset.source=embedded)
SMALL=("${EMBEDDED[@]}" -o model.width=4)

fail() {
  echo "FAIL: $*"
  exit 1
}

# expect CODE COMMAND...: run the command, save its output in output.txt, show it, and fail unless it exits with CODE.
expect() {
  local expected=$1 code=0
  shift
  echo "+ $*"
  "$@" >output.txt 2>&1 || code=$?
  cat output.txt
  [ "$code" = "$expected" ] || fail "exit code $code instead of $expected"
}

# Fail unless a line of output.txt matches the regular expression.
expect_output() {
  grep -Eq -- "$1" output.txt || fail "not in the output: $1"
}
