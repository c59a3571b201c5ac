#!/usr/bin/env bash
# Thirty mistakes that new users make, each with the exit code and the words that must come. Every error must be one line.
#   scripts/new_user.sh [FOLDER OF THE PROGRAMS]     default: build/release/apps
set -euo pipefail
cd "$(dirname "$0")/.."
apps=$(realpath "${1:-build/release/apps}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive CUDA_VISIBLE_DEVICES=
tiny="--model resnet20 --image-size 32 -b 8 -j 1 --epochs 1"

"$apps/make_toy_dataset" set --classes 3 --per-class 8 --image-size 32 >made.log
"$apps/pretrain" set --out run $tiny >trained.log
"$apps/linear_probe" set --encoder run/encoder.safetensors --out run/probe --epochs 2 >probed.log

count=0 failed=0
# mistake CODE WORDS PROGRAM [ARGUMENTS...]: what the program says must hold WORDS.
mistake() {
  local code=$1 words=$2 said status=0 lines
  shift 2
  count=$((count + 1))
  said=$("$apps/$1" "${@:2}" 2>&1) || status=$?
  lines=$(grep -c 'error: ' <<<"$said" || true)
  if [ "$status" -ne "$code" ] || ! grep -qF -- "$words" <<<"$said" || { [ "$code" -ne 0 ] && [ "$lines" -ne 1 ]; }; then
    failed=$((failed + 1))
    printf 'new user: %s: expected code %s and "%s"; got code %s and:\n%s\n' "$*" "$code" "$words" "$status" "$said"
  fi
}

# Typing.
mistake 2 "--temprature: no such flag; did you mean --temperature?" pretrain set --out a --temprature 0.1
mistake 2 "--epoch: no such flag; did you mean --epochs?" pretrain set --epoch 3
mistake 2 "one argument too many" pretrain set a $tiny
mistake 2 "--lr: its value is missing" pretrain set --out a --lr
mistake 2 "--lr -1: expected 0 or more" pretrain set --out a --lr -1
mistake 2 "--batch-size 64.5" pretrain set --out a -b 64.5
mistake 2 "unknown model resnet51; use one of resnet18" pretrain set --out a --model resnet51
mistake 2 "--preset imagnet: unknown preset; use one of imagenet" pretrain set --out a --preset imagnet
mistake 2 "--loss supercon: expected one of supcon" pretrain set --out a --loss supercon
mistake 2 "--out" pretrain set
mistake 2 "pretrian: no such program; did you mean pretrain?" kindred pretrian set --out a
# Flags that do not go together.
mistake 2 "--margin is not for --loss supcon" pretrain set --out a --margin 0.2 $tiny
mistake 2 "--loss simclr with --views 1" pretrain set --out a --loss simclr --views 1 $tiny
mistake 2 "--micro-batch 3: expected a divisor of --batch-size 8" pretrain set --out a --micro-batch 3 $tiny
mistake 2 "the data set has only 24 training images" pretrain set --out a $tiny -b 6144
# Folders.
mistake 3 "nowhere" pretrain nowhere --out a $tiny
mkdir empty && mistake 3 "the folder is empty" pretrain empty --out a $tiny
mistake 3 "give the set, " pretrain set/train --out a $tiny
mkdir above && cp -r set above/set && mistake 3 "give above/set" pretrain above --out a $tiny
mistake 2 "it holds results already; give another folder, or --overwrite" pretrain set --out run $tiny
mistake 2 "lies in the data set, which is never changed" pretrain set --out set/run $tiny
mistake 2 "it is a file" pretrain set --out made.log $tiny
mkdir other && echo '{"architectures": []}' >other/config.json
mistake 2 "its config.json is not of a run of pretrain" pretrain set --out other $tiny
# Files.
mistake 4 "cannot be opened" pretrain set --out run --overwrite --weights typo.safetensors $tiny
mistake 4 "made.log" linear_probe set --encoder made.log --out b
mistake 2 "it holds a run of pretrain" linear_probe set --encoder run/encoder.safetensors --out run
mistake 2 "give --encoder RUN/encoder.safetensors" linear_probe set --out b
mistake 4 "fc." classify set/val/*/*.jpg --encoder run/encoder.safetensors --classifier run/encoder.safetensors
# The machine.
mistake 5 "no NVIDIA driver" pretrain set --out a --device cuda $tiny
mistake 5 "GiB of memory, and" pretrain set --out a --model resnet152 --image-size 2048 -b 24
# No mistakes, but what a new user types first.
mistake 0 "the default on a CPU for pictures of 32 pixels" pretrain set --out first --epochs 1 --device cpu
mistake 0 "resnet20" pretrain set --out first --epochs 1 --device cpu --overwrite

# Nothing of the failed starts is left, and the first run is as it was.
for folder in a b; do
  [ ! -e $folder ] || { failed=$((failed + 1)); echo "new user: $folder was left behind"; }
done
[ -f run/encoder.safetensors ] && [ -f run/probe/result.json ] || { failed=$((failed + 1)); echo "new user: the run was lost"; }
if [ $failed -ne 0 ]; then
  echo "error: new user: $failed of $count went wrong" >&2
  exit 1
fi
echo "new user: $count mistakes and first commands end as they should"
