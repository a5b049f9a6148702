#!/usr/bin/env bash
# FID of 2 generated images, over 128 features: the covariance matrix is rank-deficient.
# Right: finite scores of the generated and the real images. Wrong: an error, NaN or no score.
. ../env.sh

expect 0 ganbench run dcgan-fashion "${EMBEDDED[@]}" -o model.width=8 "${SCORED[@]}" -o metrics.0.num_samples=2 \
  --steps 3 --out out

python - <<'P'
import json
import math
from pathlib import Path

(metric,) = json.loads(Path("out/result.json").read_text())["metrics"]
assert metric["value"] is not None and math.isfinite(metric["value"]), metric
assert metric["real_data_score"] is not None and math.isfinite(metric["real_data_score"]), metric
assert metric["real_data_samples"] == 2, metric
P
