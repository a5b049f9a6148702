#!/usr/bin/env bash
# A generator counts its steps in a plain Python attribute, and its output depends on the count (progressive growing).
# Right: equal seeds give equal losses, and a resumed run gives the same losses as an uninterrupted one.
# Wrong: warm-up changes the count, or it is lost when the run is resumed.
. ../env.sh

OPTIONS=(-p fading.py -o model=fading "${EMBEDDED[@]}" "${UNSCORED[@]}")
expect 0 ganbench run dcgan-fashion "${OPTIONS[@]}" --steps 20 --out first
expect 0 ganbench run dcgan-fashion "${OPTIONS[@]}" --steps 20 --out second
expect 0 ganbench run dcgan-fashion "${OPTIONS[@]}" --steps 10 --out resumed
expect 0 ganbench run --resume resumed --steps 20

python - <<'P'
import json
from pathlib import Path


def losses(name):
    history = json.loads(Path(name, "result.json").read_text())["history"]
    return [(row["images"], row["d_loss"], row["g_loss"]) for row in history]


first, second, resumed = losses("first"), losses("second"), losses("resumed")
assert first, "the history is empty"
assert first == second, f"equal seeds: {first} and {second}"
assert first == resumed, f"uninterrupted {first}, resumed {resumed}"
P
