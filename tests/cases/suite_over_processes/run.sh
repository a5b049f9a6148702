#!/usr/bin/env bash
# A suite whose run is split over two processes, while torchrun starts the same run by hand, at the same time.
# Right: both find a free port. When the suite's torchrun is killed, both of its processes end after a checkpoint, and the
# run is resumed and ends as the other one does, bit for bit. Wrong: a collision, processes left alone, other numbers.
. ../env.sh

cat >toys.toml <<'T'
benchmark = "toy.toml"
processes = 2
seeds = [1]
T
ganbench suite toys.toml --device cpu --out suite >suite.txt 2>&1 &
suite=$!
python -m torch.distributed.run --standalone --nproc-per-node 2 -m ganbench run toy.toml --device cpu --out alone \
  >alone.txt 2>&1 &
alone=$!

until compgen -G 'suite/runs/*/checkpoint.pt' >/dev/null; do sleep 0.1; done
launcher=$(pgrep -f "ganbench.runtime.torchrun 2 -m ganbench run $PWD/suite")
ranks=$(pgrep -P "$launcher")
kill -KILL "$launcher"
started=$SECONDS
for rank in $ranks; do
  while kill -0 "$rank" 2>/dev/null; do
    [ $((SECONDS - started)) -lt 30 ] || fail "process $rank of the killed torchrun is still there"
    sleep 0.1
  done
done
wait $suite || fail "the suite failed: $(cat suite.txt)"
wait $alone || fail "torchrun failed: $(cat alone.txt)"

python - <<'P'
import json
from pathlib import Path

attempts = [json.loads(file.read_text())["attempts"] for file in Path("suite/attempts").iterdir()]
assert [[attempt["problem"] for attempt in each] for each in attempts] == [["killed by SIGKILL", None]], attempts
(resumed,) = Path("suite/runs").iterdir()
one, other = (json.loads(Path(folder, "result.json").read_text()) for folder in (resumed, "alone"))
assert one["metrics"][0]["value"] == other["metrics"][0]["value"]
assert one["history"][-1]["d_loss"] == other["history"][-1]["d_loss"]
P
