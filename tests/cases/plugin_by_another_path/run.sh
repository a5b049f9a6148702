#!/usr/bin/env bash
# The folder with the plugin file and the run directory moves before the run is resumed (another mount point).
# Right: the run resumes, because the content of the plugin file is the same. Wrong: it is refused for the path alone.
. ../env.sh

mkdir before
cp least_squares.py before
expect 0 ganbench run dcgan-fashion -p before/least_squares.py -o loss=least-squares "${SMALL[@]}" "${UNSCORED[@]}" \
  --steps 3 --out before/out
mv before after
expect 0 ganbench run --resume after/out -p after/least_squares.py --steps 6
expect_output "^completed$"

python - <<'P'
import json
from pathlib import Path

(row,) = json.loads(Path("after/out/result.json").read_text())["history"]
assert row["images"] == 6 * 64, row
P
