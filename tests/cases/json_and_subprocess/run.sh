#!/usr/bin/env bash
# A plugin's child process and its C library print to standard output.
# Right: with --json, standard output is only JSON, and the rest goes to standard error. Wrong: standard output has both.
. ../env.sh

ganbench list losses -p chatty.py --json >list.json 2>list.err || fail "list: $(cat list.err)"
ganbench run dcgan-fashion -p chatty.py -o loss=chatty "${SMALL[@]}" "${UNSCORED[@]}" --steps 2 --out out --json \
  >run.json 2>run.err || fail "run: $(cat run.err)"

for file in list.json run.json; do
  python -m json.tool $file >/dev/null || fail "$file is not JSON: $(head -n 3 $file)"
done
grep -q '"chatty"' list.json || fail "list.json does not list the loss"
grep -q '"completed"' run.json || fail "run.json is not the result"
for file in list.err run.err; do
  grep -q "driver 1.2.3" $file || fail "the output of the child process is not in $file"
done
grep -q "native library" run.err || fail "the output of the C library is not in run.err"
