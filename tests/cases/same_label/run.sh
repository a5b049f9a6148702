#!/usr/bin/env bash
# Two metrics have the same label: FID of 100 and of 500 images.
# Right: after --resume, each has its own earlier scores. Wrong: the scores of one are lost, or taken for the other's.
. ../env.sh

fid() { echo "{name = 'fid', features = 'fashion-cnn', num_samples = $1, at_epochs = [0]}"; }
expect 0 ganbench run dcgan-fashion "${EMBEDDED[@]}" -o model.width=8 "${CPU[@]}" -o "metrics=[$(fid 100), $(fid 500)]" \
  --steps 5 --out out
cp out/result.json before.json
expect 0 ganbench run --resume out --steps 10

python - <<'P'
import json
from pathlib import Path


def initial_scores(file):
    curves = [metric["curve"] for metric in json.loads(Path(file).read_text())["metrics"]]
    assert [len(curve) for curve in curves] == [2, 2], curves
    assert all(curve[0]["epoch"] == 0 for curve in curves), curves
    return [curve[0]["value"] for curve in curves]


before, after = initial_scores("before.json"), initial_scores("out/result.json")
assert before[0] != before[1], before
assert before == after, f"{before} before, {after} after"
P
