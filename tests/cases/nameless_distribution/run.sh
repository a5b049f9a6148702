#!/usr/bin/env bash
# A dist-info folder with entry points but no METADATA, as an interrupted uninstall leaves it.
# Right: ganbench works, and `ganbench plugins` names the broken distribution. Wrong: every command fails.
. ../env.sh

info=site/ganbench_broken-1.0.dist-info
mkdir -p $info
printf '[ganbench]\nbroken = ganbench_broken\n' >$info/entry_points.txt
echo 'raise ImportError("incomplete")' >site/ganbench_broken.py
export PYTHONPATH=$PWD/site${PYTHONPATH:+:$PYTHONPATH}

expect 0 ganbench list
expect_output "dcgan-fashion"
expect 0 ganbench plugins
expect_output "^failed: ganbench_broken, entry point 'broken', metadata: .*$info: METADATA"
