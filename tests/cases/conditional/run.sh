#!/usr/bin/env bash
# A generator requires labels, but its model is not declared conditional.
# Right: an error that names the model and says what the generator is called with. Wrong: a bare TypeError.
. ../env.sh

expect 5 ganbench run dcgan-fashion -p labeled.py -o model=labeled "${EMBEDDED[@]}" "${SCORED[@]}" --steps 3 --out out
expect_output "model 'labeled' .* raised in its generator: TypeError: .*'labels'"
expect_output "with labels only if the model is conditional"
