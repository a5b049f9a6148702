#!/usr/bin/env bash
# A generator replaces its weights by their average in eval() and restores them in train(), as EMA wrappers do.
# Right: scoring leaves no trace, so a run that is scored while it trains has the same losses as one that is not.
# Wrong: the losses differ after the first scoring.
. ../env.sh

train() {
  expect 0 ganbench run dcgan-fashion -p averaged.py -o model=averaged "${EMBEDDED[@]}" "${SCORED[@]}" \
    -o training.batch_size=1000 -o optimizer.generator.lr=0.01 --epochs 3 "$@"
}
train -o 'metrics.0.at_epochs=[1, 2]' --out scored
train -o 'metrics.0.at_epochs=[]' --out unscored

python - <<'P'
import json
from pathlib import Path

scored, unscored = (json.loads(Path(name, "result.json").read_text()) for name in ("scored", "unscored"))
epochs = [[point["epoch"] for point in result["metrics"][0]["curve"]] for result in (scored, unscored)]
assert epochs == [[1, 2, 3], [3]], f"scored after epochs {epochs}"
losses = [[(row["d_loss"], row["g_loss"]) for row in result["history"]] for result in (scored, unscored)]
assert len(losses[0]) == 3, losses
assert losses[0] == losses[1], f"the losses differ: {losses}"
P
