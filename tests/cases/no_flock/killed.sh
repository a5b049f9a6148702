#!/usr/bin/env bash
# As run.sh, but the run is killed with SIGKILL, as a cluster does, which leaves its lock file.
# Right: --resume continues the run. Wrong: it is refused forever, because "another run" has the lock.
. ../env.sh

export PYTHONPATH=$PWD/site${PYTHONPATH:+:$PYTHONPATH}
ganbench run dcgan-fashion "${SMALL[@]}" "${UNSCORED[@]}" -o checkpoint.every_minutes=0 --steps 100000 --out out \
  >killed.txt 2>&1 &
run=$!
for _ in $(seq 600); do
  [ -f out/checkpoint.pt ] && break
  sleep 0.1
done
[ -f out/checkpoint.pt ] || fail "no checkpoint: $(cat killed.txt)"
sleep 1
kill -KILL $run || fail "the run ended by itself: $(cat killed.txt)"
wait $run || true
[ -f out/.lock ] || fail "the killed run left no lock file: $(ls -A out)"

steps=$(python - <<'P'
import json

import torch

progress = json.loads(torch.load("out/checkpoint.pt", weights_only=True)["progress"])
print(progress["steps"] + 5)
P
)
expect 0 ganbench run --resume out --steps "$steps"
expect_output "^completed$"
