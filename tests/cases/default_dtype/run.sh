#!/usr/bin/env bash
# A plugin changes torch's default dtype to float64 for the whole process, as importing some libraries does.
# Right: an error that names this plugin and the change. Wrong: another plugin is blamed, or training is in float64.
. ../env.sh

expect 5 ganbench run dcgan-fashion -p float64_default.py -o loss=float64-default \
  "${SMALL[@]}" "${SCORED[@]}" --steps 3 --out out
expect_output "^error: loss 'float64-default' .* changed torch's default dtype from torch.float32 to torch.float64"
