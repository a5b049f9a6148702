#!/usr/bin/env bash
# Generator and discriminator share a layer.
# Right: the layer is trained in the updates of both, as in a loop with two optimizers. Wrong: in one of them, it is
# frozen as part of the other network.
. ../env.sh

expect 0 ganbench run dcgan-fashion -p shared.py -o model=shared -o loss=monitored "${EMBEDDED[@]}" "${UNSCORED[@]}" \
  --steps 3 --out out

python - <<'P'
import json
from pathlib import Path

(row,) = json.loads(Path("out/result.json").read_text())["history"]
assert (row["requires_grad_in_d"], row["requires_grad_in_g"]) == (1, 1), row
P
