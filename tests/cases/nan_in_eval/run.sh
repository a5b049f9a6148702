#!/usr/bin/env bash
# A generator works in training, but its images are NaN in eval mode.
# Right: a warning names the model and the NaN, and there is no score. Wrong: a finite FID of NaN images.
. ../env.sh

expect 0 ganbench run dcgan-fashion -p unstable.py -o model=unstable "${EMBEDDED[@]}" "${SCORED[@]}" --steps 5 --out out
expect_output "model 'unstable' .*: in eval mode, the generated images contain .* NaN or infinite"
expect_output "FID \(fashion-cnn\) not finite"

python - <<'P'
import json
from pathlib import Path

(metric,) = json.loads(Path("out/result.json").read_text())["metrics"]
values = [metric["value"], *(point["value"] for point in metric["curve"])]
assert values == [None, None, None], values
P
