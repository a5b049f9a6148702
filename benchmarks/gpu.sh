#!/usr/bin/env bash
# Run everything that needs a GPU, in less than ten minutes:
#
#   OUT=benchmarks/results/NAME benchmarks/gpu.sh run
#
# The environment needs ganbench with the extras dev and benchmarks, and FashionMNIST in DATA_DIR (default: where ganbench
# finds it). Each part writes its results to $OUT as it proceeds; failed parts are listed at the end. `run PART...` runs
# only some parts:
#
#   verify          dcgan-fashion for an epoch, after 200 steps that are bitwise identical as CUDA graph and eagerly
#   tests           the tests that use a GPU
#   every_feature   all benchmarks and features of a step, briefly; which of them run as CUDA graphs
#   commands        samples, scores and a report of the run of `verify`
#   suite           four runs, two at once on one GPU
#   ranks           torchrun, with one process on the GPU and with two on the CPU
#   r3gan           where the time of the slowest benchmark's step goes
#   class_accuracy  how often a conditional generator makes the class that it is asked for
#   loops           speed compared with other training loops
#   engines         speed by engine, batch size and precision
#   shared_gpu      speed of several seeds at once, as streams and as processes
#   seeds_at_once   whether the runs of `ganbench run --seeds` equal their own runs, and their speed
#   self_test       whether the gate detects a slowdown injected into a CUDA graph and into eager steps
#   outside_clock   speed by a clock outside the process
#   reference       50 epochs with scores, compared with the published curve; seeds in SEEDS (default: 42)
#   loss_table      two epochs with each loss for images; two seeds
#
# `rehearse` runs the same parts briefly on a CPU, to find mistakes without a GPU.
#
# For a machine without a network,
#
#   benchmarks/gpu.sh pack FOLDER
#
# builds wheels of ganbench and of the dependencies that a typical torch environment lacks, and copies the dataset. On that
# machine, run with WHEELS=FOLDER DATA_DIR=FOLDER.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
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
    "pydantic==$(version_of pydantic)" "pydantic-core==$(version_of pydantic-core)" annotated-types typing-inspection \
    platformdirs tomli-w torch-fidelity nvidia-ml-py filelock joblib lazy-loader safetensors \
    hypothesis sortedcontainers junitparser pytest-xdist execnet \
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

chosen=()
part() { # NAME SECONDS COMMAND...: run a selected part with a time limit, and continue even if it fails
  local name=$1 limit=$(($2 * patience)) start=$SECONDS left=$((deadline - SECONDS - 10))
  shift 2
  [[ ${#chosen[@]} -eq 0 || " ${chosen[*]} " == *" $name "* ]] || return 0
  [ "$left" -gt 0 ] || { echo "$name (no time left)" >>"$folder/failed"; return 0; }
  [ "$left" -ge "$limit" ] || limit=$left
  echo "== $name: $*"
  timeout --signal=INT --kill-after=10 "$limit" "$@" 2>&1 | tee -a "$OUT/gpu.log" | tail -n 25
  [ "${PIPESTATUS[0]}" -eq 0 ] || echo "$name" >>"$folder/failed"
  echo "== $name: $((SECONDS - start)) s"
}

run() {
  deadline=$((SECONDS + 570)) patience=1
  device=cuda source=files epochs=50 short_epochs=3 verify=(--epochs 1 --verify-engine 200 --profile) steps=30 seconds=3 rounds=2 jobs=3
  class_accuracy=(--steps 3000 --width 64) loss_table=(--seeds 0,1 --epochs 2)
  nvidia-smi --query-gpu=name,driver_version,clocks.sm,power.limit --format=csv,noheader
  run_parts "$@"
}

rehearse() {
  deadline=$((SECONDS + 24 * 3600)) patience=30
  device=cpu source=embedded epochs=1 short_epochs=1 verify=(--steps 2 --profile -o metrics.0.num_samples=1000) steps=2 seconds=1 rounds=1 jobs=1
  class_accuracy=(--steps 2) loss_table=(--seeds 0 --epochs 1)
  run_parts "$@"
}

run_parts() {
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
  local options=(--device "$device" --source "$source")
  folder=$(mktemp -d)
  trap 'rm -r "$folder"' EXIT
  local ganbench=("$python" -m ganbench) torchrun=("$python" -m torch.distributed.run --standalone)
  local short=(--steps "$steps" -o "dataset.source=$source" -o metrics.0.num_samples=1000)

  part verify 60 "${ganbench[@]}" run dcgan-fashion --device "$device" -o "dataset.source=$source" "${verify[@]}" \
    --out "$folder/run"
  [ ! -e "$folder/run/result.json" ] || cp "$folder/run/result.json" "$OUT/verify.json"
  # these parts test that everything works, so they run side by side; those after them measure speed
  part every_feature 170 "$python" -m benchmarks.every_feature "${options[@]}" --steps "$steps" --jobs "$jobs" \
    --out "$OUT/every_feature.json" &
  run_short_parts &
  wait

  part loops 150 "$python" -m benchmarks.loops "${options[@]}" --precision tf32 --rounds "$rounds" --seconds "$seconds" \
    --out "$OUT/loops.json"
  part engines 130 "$python" -m benchmarks.engines "${options[@]}" --rounds 1 --seconds 2 --out "$OUT/engines.json"
  [ "$device" = cpu ] || part shared_gpu 90 "$python" -m benchmarks.shared_gpu "${options[@]}" --seconds "$seconds" \
    --out "$OUT/shared_gpu.json"
  part seeds_at_once 120 "$python" -m benchmarks.seeds_at_once "${options[@]}" --epochs "$short_epochs" \
    --out "$OUT/seeds_at_once.json"
  for engine in auto eager; do
    part self_test 250 "${ganbench[@]}" check dcgan-fashion --self-test --device "$device" --blocks 2 \
      -o "dataset.source=$source" -o "engine.mode=$engine"
  done
  part outside_clock 45 "$python" -m benchmarks.outside_clock "${options[@]}" --seconds $((3 * seconds)) \
    --out "$OUT/outside_clock.json"
  part reference 300 "$python" -m benchmarks.reference "${options[@]}" --seeds "${SEEDS:-42}" --epochs "$epochs" \
    --out-dir "$OUT/reference"
  part loss_table 190 "$python" -m benchmarks.loss_table "${options[@]}" "${loss_table[@]}" --out-dir "$OUT/loss_table"

  if [ -s "$folder/failed" ]; then
    echo "failed: $(paste -sd ' ' "$folder/failed")"
    exit 1
  fi
}

run_short_parts() {
  part tests 60 "$python" -m pytest -q -n 4 -k cuda tests/training tests/runtime

  part commands 30 "${ganbench[@]}" sample "$folder/run" -n 64 --device "$device" --out "$folder/samples.npz"
  part commands 30 "${ganbench[@]}" eval "$folder/samples.npz" --against fashion-mnist -o "dataset.source=$source" \
    --metrics kid --features fashion-cnn -o metrics.0.subset_size=64 --device "$device"
  part commands 30 "${ganbench[@]}" eval "$folder/run" -n 1000 --device "$device"
  part commands 20 "${ganbench[@]}" report "$folder/run" --out "$folder/report.html"

  cat >"$folder/suite.toml" <<SUITE
benchmark = "dcgan-fashion"
seeds = [1, 2]
[options]
training.steps = $((10 * steps))
dataset.source = "$source"
metrics.0.num_samples = 1000
[axes]
loss = ["bce", "hinge"]
SUITE
  part suite 60 "${ganbench[@]}" suite "$folder/suite.toml" --jobs 2 --device "$device" --out "$folder/suite"

  part ranks 60 "${torchrun[@]}" --nproc-per-node 1 -m ganbench run dcgan-fashion --device "$device" "${short[@]}" \
    --out "$folder/one"
  part ranks 60 "${torchrun[@]}" --nproc-per-node 2 -m ganbench run dcgan-fashion --device cpu "${short[@]}" \
    --out "$folder/two"
  part r3gan 60 "${ganbench[@]}" run r3gan-fashion --device "$device" -o "dataset.source=$source" --steps 2 --profile \
    -o training.batch_size=64 -o 'metrics=[]' --out "$folder/r3gan"
  part class_accuracy 60 "$python" -m benchmarks.class_accuracy --device "$device" --source "$source" \
    "${class_accuracy[@]}" --out "$OUT/class_accuracy.json"
}

"${1:?usage: benchmarks/gpu.sh run | rehearse | pack FOLDER}" "${@:2}"
