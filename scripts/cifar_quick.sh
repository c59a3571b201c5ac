#!/usr/bin/env bash
# The preset cifar-quick of docs/recipes.md: ResNet-20, ten epochs on a fifth of CIFAR-10, then the linear probe; one
# run for each seed. Resumes where it was stopped.
#
#   scripts/cifar_quick.sh DIR OUT [SEED...]     DIR holds train/<class>/* and test/<class>/* (or CIFAR's binary files)
set -euo pipefail
data=${1:?usage: cifar_quick.sh DIR OUT [SEED...]} out=${2:?usage: cifar_quick.sh DIR OUT [SEED...]}
shift 2
seeds=("${@:-0}")
[ $# -gt 0 ] || seeds=(0 1 2)
apps=${KINDRED_APPS:-"$(dirname "$0")/../build/release/apps"}
subset=(--limit-per-class 1000 --limit-eval-per-class 200)
for seed in "${seeds[@]}"; do
  run="$out/seed$seed"
  "$apps/pretrain" "$data" --out "$run" --preset cifar-quick "${subset[@]}" --seed "$seed" --resume
  [ -f "$run/probe/result.json" ] ||
    "$apps/linear_probe" "$data" --encoder "$run/encoder.safetensors" --out "$run/probe" "${subset[@]}" --overwrite
done
grep -H '"top1"' "$out"/seed*/probe/result.json
