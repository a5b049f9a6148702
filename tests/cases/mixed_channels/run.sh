#!/usr/bin/env bash
# One of 40 grayscale images is in color.
# Right: an error that names the dataset plugin, the image (17) and both shapes.
# Wrong: the plugin is not named, or the message contains the traceback of a data loading worker.
. ../env.sh

expect 5 ganbench run dcgan-fashion -p mixed.py -o dataset=mixed -o model.width=4 "${UNSCORED[@]}" \
  -o training.batch_size=8 --epochs 1 --out out
expect_output "dataset 'mixed' .* item 17 of the train split: .*\(3, 28, 28\).*\(1, 28, 28\)"
! grep Traceback output.txt || fail "a traceback in the message"
