#!/usr/bin/env bash
# A subclass of TensorDataset changes the images in __getitem__, as for augmentation; here, all images become white.
# Right: training sees what dataset[i] returns, images with mean 1. Wrong: it sees the tensors of the dataset.
. ../env.sh

expect 0 ganbench run dcgan-fashion -p white.py -o dataset=white -o loss=monitored -o model.width=4 "${UNSCORED[@]}" \
  --steps 2 --out out

python - <<'P'
import json
from pathlib import Path

(row,) = json.loads(Path("out/result.json").read_text())["history"]
mean = row["real_mean"]
assert abs(mean - 1) < 1e-3, f"mean of the real images: {mean}"
P
