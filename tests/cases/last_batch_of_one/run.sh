#!/usr/bin/env bash
# 65 images in batches of 64: the last batch has 1 image, for which batch norm raises in training.
# Right: an error that explains the last batch and what to change, and following the advice works. Wrong: only torch's
# message.
. ../env.sh

train() { ganbench run dcgan-fashion -p odd.py -o dataset=odd -o model.width=4 "${UNSCORED[@]}" --epochs 2 "$@"; }

expect 5 train --out out
expect_output "the last batch of an epoch, which has 1 image, as 65 images are not a multiple of 64"
expect_output "-o training.drop_last=true"
expect 0 train -o training.drop_last=true --out drop_last
