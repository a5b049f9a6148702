#!/usr/bin/env bash
# Run everything that needs a GPU, in less than ten minutes:
#
#   OUT=benchmarks/results/NAME benchmarks/gpu.sh run
#
# The environment needs ganbench with the extras dev and benchmarks, and FashionMNIST in DATA_DIR (default: where ganbench
# finds it). Each part writes its results to $OUT as it proceeds; failed parts are listed at the end. `run PART...` runs
# only some parts: verify, tests, reference, loops, engines, outside_clock.
#
# For a machine without a network,
#
#   benchmarks/gpu.sh pack FOLDER
#
# builds wheels of ganbench and of the dependencies that a typical torch environment lacks, and copies the dataset. On that
# machine, run with WHEELS=FOLDER DATA_DIR=FOLDER.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

version_of() {
  "$python" -c "from importlib.metadata import version; print(version('$1'))"
}

pack() {
  local folder=${1:?usage: benchmarks/gpu.sh pack FOLDER}
  local python_version=${PYTHON_VERSION:-3.12}
  mkdir -p "$folder"
  "$python" -m pip wheel --quiet --no-deps --wheel-dir "$folder" . || return
  "$python" -m pip download --quiet --no-deps --only-binary=:all: --python-version "$python_version" \
    --implementation cp --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 \
    --platform manylinux2014_x86_64 --dest "$folder" \
    "pydantic==$(version_of pydantic)" "pydantic-core==$(version_of pydantic-core)" annotated-types typing-inspection platformdirs tomli-w torch-fidelity nvidia-ml-py filelock joblib hypothesis sortedcontainers junitparser pytest-xdist execnet lazy-loader safetensors \
    || return
  "$python" - "$folder/FashionMNIST/raw" <<'COPY'
import gzip, sys
from pathlib import Path
from ganbench.system.files import default_data_dir
from ganbench_datasets.fashion_mnist.sources import FULL
found, target = FULL.find_files(default_data_dir()), Path(sys.argv[1])
if found is None:
    sys.exit("FashionMNIST not found")
target.mkdir(parents=True, exist_ok=True)
for name in FULL.sha256:
    (target / f"{name}.gz").write_bytes(gzip.compress((found / name).read_bytes()))
COPY
}

failed=()
chosen=()
deadline=$((SECONDS + 570))
part() { # NAME SECONDS COMMAND...: run a selected part with a time limit, and continue even if it fails
  local name=$1 limit=$2 start=$SECONDS left=$((deadline - SECONDS - 10))
  shift 2
  [[ ${#chosen[@]} -eq 0 || " ${chosen[*]} " == *" $name "* ]] || return 0
  [ "$left" -gt 0 ] || { failed+=("$name"); return 0; }
  [ "$left" -ge "$limit" ] || limit=$left
  echo "== $name"
  timeout --signal=INT --kill-after=10 "$limit" "$@" 2>&1 | tee -a "$OUT/gpu.log" | tail -n 25
  [ "${PIPESTATUS[0]}" -eq 0 ] || failed+=("$name")
  echo "== $name: $((SECONDS - start)) s"
}

run() {
  chosen=("$@")
  OUT=${OUT:-benchmarks/results/gpu}
  mkdir -p "$OUT"
  if [ -n "${WHEELS:-}" ]; then
    "$python" -m pip install --quiet --no-index --no-deps "$WHEELS"/*.whl || exit
  fi
  if [ -n "${DATA_DIR:-}" ]; then
    GANBENCH_DATA=$(cd "$DATA_DIR" && pwd)
    export GANBENCH_DATA
  fi
  export PYTHONUNBUFFERED=1
  nvidia-smi --query-gpu=name,driver_version,clocks.sm,power.limit --format=csv,noheader

  # verify that CUDA graphs and eager execution are bitwise identical
  local verified
  verified=$(mktemp -d)
  part verify 90 "$python" -m ganbench run dcgan-fashion --device cuda --epochs 1 --verify-engine 200 --profile \
    --out "$verified/run"
  [ ! -e "$verified/run/result.json" ] || cp "$verified/run/result.json" "$OUT/verify.json"
  part tests 60 "$python" -m pytest -q -k cuda tests/training/test_engines.py
  # the reference run: 50 epochs with scores, with three seeds, compared with the published curve
  part reference 190 "$python" -m benchmarks.reference --seeds 42,1,2 --device cuda --out-dir "$OUT/reference"
  part loops 140 "$python" -m benchmarks.loops --device cuda --precision tf32 --pairs 2 --seconds 3 --out "$OUT/loops.json"
  part engines 170 "$python" -m benchmarks.engines --device cuda --rounds 1 --seconds 2 --out "$OUT/engines.json"
  part outside_clock 45 "$python" -m benchmarks.outside_clock --device cuda --seconds 10 --out "$OUT/outside_clock.json"

  [ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}"; exit 1; }
}

"${1:?usage: benchmarks/gpu.sh run | pack FOLDER}" "${@:2}"
