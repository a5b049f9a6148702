#!/usr/bin/env bash
# The code of a feature extractor changes, but not its version, as in an editable install.
# Right: the features of the real images are computed again. Wrong: cached statistics of the old code are compared with
# features of the new code.
. ../env.sh

info=site/thumbnails-0.1.dist-info
mkdir -p $info
printf '[ganbench]\nthumbnails = thumbnails\n' >$info/entry_points.txt
printf 'Metadata-Version: 2.1\nName: thumbnails\nVersion: 0.1\n' >$info/METADATA
export PYTHONPATH=$PWD/site${PYTHONPATH:+:$PYTHONPATH} PYTHONDONTWRITEBYTECODE=1

train() {
  expect 0 ganbench run dcgan-fashion "${SMALL[@]}" "${SCORED[@]}" -o metrics.0.features=thumbnails \
    -o 'metrics.0.at_epochs=[]' --steps 3 --out "$1"
}
cp thumbnails.py site
XDG_CACHE_HOME=$PWD/cache train old
sed 's/SCALE = 255/SCALE = 1/' thumbnails.py >site/thumbnails.py
XDG_CACHE_HOME=$PWD/cache train new
XDG_CACHE_HOME=$PWD/empty_cache train new_without_cache

python - <<'P'
import json
from pathlib import Path


def scores(name):
    (metric,) = json.loads(Path(name, "result.json").read_text())["metrics"]
    return metric["value"], metric["real_data_score"]


old, new, expected = scores("old"), scores("new"), scores("new_without_cache")
assert new[0] > 1000 * old[0], f"the change of the code has no effect: {old}, {new}"
assert abs(new[0] - expected[0]) <= 1e-3 * expected[0], f"{new}, without the cache {expected}"
assert new[1] == expected[1], f"{new}, without the cache {expected}"
P
