#!/usr/bin/env bash
# A suite whose run is split over two processes, and whose torchrun is killed.
# Right: both processes end after a checkpoint, and the suite resumes the run. Wrong: processes that are left alone and train
# on, a suite that waits for them or gives up.
. ../env.sh

ganbench suite toys.toml --device cpu --out suite >suite.txt 2>&1 &
suite=$!
until compgen -G 'suite/runs/*/checkpoint.pt' >/dev/null; do sleep 0.1; done
launcher=$(pgrep -f "ganbench.runtime.torchrun 2 -m ganbench run $PWD/suite")
ranks=$(pgrep -P "$launcher")
kill -KILL "$launcher"
started=$SECONDS
for rank in $ranks; do
  while kill -0 "$rank" 2>/dev/null; do
    [ $((SECONDS - started)) -lt 60 ] || fail "process $rank of the killed torchrun is still there"
    sleep 0.1
  done
done
wait $suite || fail "the suite failed: $(cat suite.txt)"

python - <<'P'
import json
from pathlib import Path

(file,) = Path("suite/attempts").iterdir()
attempts = json.loads(file.read_text())["attempts"]
assert [attempt["problem"] for attempt in attempts] == ["killed by SIGKILL", None], attempts
(run,) = Path("suite/runs").iterdir()
result = json.loads((run / "result.json").read_text())
assert sum(epoch["images"] for epoch in result["history"]) == 200 * 64
assert result["throughput"]["conditions"]["processes"] == 2
P
