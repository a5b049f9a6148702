#!/usr/bin/env bash
# One run over two processes, on the CPU.
# Right: losses and scores as in one process with the same batch, an exact resume, an end of both processes when one is
# killed, with a checkpoint left. Wrong: other numbers, a hang.
. ../env.sh

ganbench_on_two() { python -m torch.distributed.run --nproc-per-node 2 -m ganbench "$@"; }

expect 0 ganbench run toy.toml --out alone
expect 0 ganbench_on_two run toy.toml --out both
expect 0 ganbench_on_two run toy.toml --steps 20 --out resumed
expect 0 ganbench_on_two run --resume resumed --steps 50
python - <<'P'
import json
import math
from pathlib import Path

alone, both, resumed = (json.loads(Path(name, "result.json").read_text()) for name in ("alone", "both", "resumed"))
for loss in ("d_loss", "g_loss"):
    values = [run["history"][-1][loss] for run in (alone, both, resumed)]
    assert math.isclose(values[0], values[1], rel_tol=1e-5), (loss, values)
    assert values[1] == values[2], (loss, values)
scores = [run["metrics"][0]["value"] for run in (alone, both, resumed)]
assert math.isclose(scores[0], scores[1], rel_tol=1e-4), scores
assert scores[1] == scores[2], scores
for run in (alone, both):
    assert run["history"][-1]["images"] == 50 * 64
    assert run["metrics"][0]["curve"][0]["value"] == alone["metrics"][0]["curve"][0]["value"]
assert both["throughput"]["conditions"]["processes"] == 2
P

expect 2 ganbench run --resume both --steps 60
expect_output "the run was split over 2 processes, now 1"

ganbench_on_two run toy.toml --steps 1000000 --out killed >killed.txt 2>&1 &
launcher=$!
until [ -f killed/checkpoint.pt ]; do sleep 0.2; done
sleep 5
pkill -KILL -n -f "ganbench run toy.toml --steps 1000000"
started=$SECONDS
wait $launcher && fail "torchrun reported success"
[ $((SECONDS - started)) -lt 60 ] || fail "the other process went on for $((SECONDS - started)) s"
python -c "import torch; torch.load('killed/checkpoint.pt', weights_only=True)"
