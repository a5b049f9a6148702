#!/usr/bin/env bash
# ganbench.run in a worker of multiprocessing.Pool, which is a daemon and must not have children; the data is streamed.
# Right: training completes, without data loading workers. Wrong: "daemonic processes are not allowed to have children".
. ../env.sh

expect 0 python drive.py
expect_output "^completed$"
[ -s out/result.json ] || fail "result.json is missing"
