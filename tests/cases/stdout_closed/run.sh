#!/usr/bin/env bash
# Standard output is closed, as under some daemons (Python's sys.stdout is None), or it is a full disk.
# Right: training completes and the result is stored; a command that only prints exits with 5 and a clear error.
# Wrong: AttributeError, or a run that fails because it cannot print.
. ../env.sh

check_list() {
  local code=0
  ganbench list --json 2>list.txt || code=$?
  [ $code = 5 ] || fail_on_stderr "list: exit code $code instead of 5: $(cat list.txt)"
  grep -q "^error: .*output" list.txt || fail_on_stderr "list: not a clear error: $(cat list.txt)"
  ! grep -q "unexpected\|Traceback" list.txt || fail_on_stderr "list: $(cat list.txt)"
}
check_run() {
  ganbench run dcgan-fashion "${SMALL[@]}" "${SCORED[@]}" --steps 5 --out "$1" 2>run.txt ||
    fail_on_stderr "run: exit code $?: $(cat run.txt)"
  grep -q '"status": "completed"' "$1/result.json" || fail_on_stderr "$1/result.json: not completed"
}
fail_on_stderr() { fail "$@" >&2; }

check_list >&-
check_list >/dev/full
check_run closed >&-
check_run full >/dev/full
