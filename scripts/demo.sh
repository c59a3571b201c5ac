#!/usr/bin/env bash
# Makes a trained encoder from nothing in a few minutes: installs, builds, draws a small data set, trains both stages
# and compares with an untrained encoder. If it runs again, finished steps are not repeated.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install_packages.sh
# Only what follows: three programs, and the GPU's kernels only if there is a GPU.
preset=demo
if nvidia-smi -L 2>/dev/null | grep -q '^GPU'; then preset=release; fi
scripts/build.sh $preset make_toy_dataset pretrain linear_probe

apps=build/$preset/apps
$apps/make_toy_dataset runs/toy

# Half of the preset's epochs: enough to see what training does. --resume continues an interrupted run, if there is one.
$apps/pretrain runs/toy --out runs/demo --preset demo --epochs 12 --resume
[ -f runs/demo/probe/result.json ] ||
  $apps/linear_probe runs/toy --encoder runs/demo/encoder.safetensors --out runs/demo/probe --overwrite
[ -f runs/demo/untrained/result.json ] ||
  $apps/linear_probe runs/toy --untrained resnet20 --image-size 32 --out runs/demo/untrained --overwrite

top1() { sed -n 's/.*"top1": *\([0-9.]*\).*/\1/p' "$1"; }
echo
echo "linear probe on the toy set, top-1 accuracy:"
echo "  encoder trained by supervised contrast:  $(top1 runs/demo/probe/result.json)"
echo "  the same encoder, untrained:             $(top1 runs/demo/untrained/result.json)"
