#!/usr/bin/env bash
# Images with five channels (radar, or images with masks), which image files cannot show.
# Right: training completes without sample images, and a warning says why. Wrong: the run fails.
. ../env.sh

expect 0 ganbench run dcgan-fashion -p radar.py -o dataset=radar -o model=linear -o 'metrics=[]' --device cpu \
  --steps 3 --out out
expect_output "dataset 'radar' .* have 5 channels, and only images with"
[ -s out/history.csv ] || fail "history.csv is missing"
[ ! -e out/samples ] || fail "sample images were saved"
