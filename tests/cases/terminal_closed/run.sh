#!/usr/bin/env bash
# The terminal closes while the run outlives it (a lost ssh connection, with SIGHUP ignored).
# Right: training continues to its end, although nothing can be printed. Wrong: it fails, or the process crashes.
. ../env.sh

expect 0 python drive.py ganbench run dcgan-fashion "${EMBEDDED[@]}" -o model.width=8 "${SCORED[@]}" \
  -o 'metrics.0.at_epochs=[]' --epochs 3 --out out

python - <<'P'
import json
from pathlib import Path

result = json.loads(Path("out/result.json").read_text())
assert result["status"] == "completed", (result["status"], result["message"])
assert [row["images"] for row in result["history"]] == [5000, 5000, 5000], result["history"]
P
