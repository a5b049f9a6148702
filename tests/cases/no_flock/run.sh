#!/usr/bin/env bash
# A file system without flock, such as Lustre without `-o flock`, emulated by site/sitecustomize.py.
# Right: training completes without the lock, and a warning says so. Wrong: the run fails.
. ../env.sh

export PYTHONPATH=$PWD/site${PYTHONPATH:+:$PYTHONPATH}
expect 0 ganbench run dcgan-fashion "${SMALL[@]}" "${UNSCORED[@]}" --steps 2 --out out
expect_output "^warning: run directory out: the file system does not support locks"
expect_output "^completed$"
