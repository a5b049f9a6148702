#!/usr/bin/env bash
# A discriminator registers a buffer in its first forward pass, so it does not exist when training starts.
# Right: training completes. Wrong: a bare KeyError.
. ../env.sh

expect 0 ganbench run dcgan-fashion -p encoded.py -o model=encoded "${EMBEDDED[@]}" "${UNSCORED[@]}" --steps 5 --out out
expect_output "^completed$"
