#!/usr/bin/env bash
# Mistakes that new users make, each with the exit code and the words that must come. Every error must be one line.
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
mkdir mixed && cp -r set/train/* mixed && mkdir mixed/zebra && echo x >mixed/zebra/1.jp2
mistake 0 "not taken for a class, because no image in it can be read: 1 file of formats" check_data mixed --no-pictures --quiet
mkdir foreign foreign/{a,b} && echo x >foreign/a/1.jp2 && cp foreign/a/1.jp2 foreign/b
mistake 3 "its folders hold 2 files of formats that this build cannot read: .jp2 (2)" pretrain foreign --out a $tiny
mkdir -p cased/test && cp -r set/train cased
for class in set/val/*; do name=${class##*/} && cp -r "$class" "cased/test/${name^}"; done
mistake 0 "of train only in the case of letters; rename them" check_data cased --no-pictures --quiet
# Files.
mistake 4 "--weights typo.safetensors: there is no such file or folder; give" pretrain set --out run --overwrite --weights typo.safetensors $tiny
mistake 4 "--encoder nosuch: there is no such file or folder; give" linear_probe set --encoder nosuch --out b
mistake 4 "give --classifier run/probe" evaluate set --encoder run --classifier run
mistake 4 "does not fit the model resnet18: it holds a resnet20; leave --model out" pretrain set --out a $tiny --weights run --model resnet18
mistake 2 "--json '': the value is empty; write --json FILE, or leave it out" evaluate set --encoder run --classifier run/probe --json ''
mistake 2 "unknown augmentation 'set': expected cifar, " pretrain set --out a --augment set $tiny
mistake 2 "--labels set: a folder; expected a CSV file" pretrain set --out a --labels set $tiny
mistake 4 "--config /dev/zero: is not a regular file; give the config.json of a run" pretrain --config /dev/zero --out a
mistake 6 "is not a folder: choose another folder" make_toy_dataset /dev/null/x
mistake 6 "; choose a folder that can be written" check_data set --out /proc/x
ln -s circle circle
mistake 3 "circle: a link to circle, which leads in a circle; expected a CSV file with the columns path,label" pretrain set --out a --labels circle $tiny
mistake 3 "/dev/null: is not a regular file; give a tar file" pretrain --shards /dev/null --out a $tiny
mistake 3 "circle: a link to circle, which leads in a circle; give the folder that holds train/" pretrain circle --out a $tiny
mistake 4 "--weights circle: a link to circle, which leads in a circle; give the --out folder" pretrain set --out a --weights circle $tiny
mistake 4 "it is a classifier and holds no encoder; give run/encoder.safetensors" linear_probe set --out b --weights run/probe/classifier.safetensors
mistake 2 "--resume '': the value is empty; write --resume" pretrain --resume ''
mistake 7 "give no finite features, so they are of no use and were not saved; try a lower --lr" pretrain set --out diverged $tiny -b 24 --lr 1e38 --warmup-epochs 0
ln -s gone link.kpack && mistake 2 "OUT link.kpack: a link to " pack_dataset set link.kpack
mistake 4 "made.log" linear_probe set --encoder made.log --out b
mistake 2 "it holds a run of pretrain" linear_probe set --encoder run/encoder.safetensors --out run
mistake 2 "is for the checkpoints of the run in" linear_probe set --encoder run/encoder.safetensors --out run/checkpoints
mistake 2 "a file of this name belongs to the run in" evaluate set --encoder run --classifier run/probe --json run/result.json
mistake 2 "give --encoder RUN/encoder.safetensors" linear_probe set --out b
mistake 4 "fc." classify set/val/*/*.jpg --encoder run/encoder.safetensors --classifier run/encoder.safetensors
# The machine.
mistake 5 "no NVIDIA driver" pretrain set --out a --device cuda $tiny
mistake 5 "GiB of memory, and" pretrain set --out a --model resnet152 --image-size 2048 -b 24
# Several processes.
mistake 2 "--gpus 0: expected 1 to 65536" pretrain set --out a --gpus 0 $tiny
mistake 5 "--gpus 2: device cuda: no NVIDIA driver" pretrain set --out a --gpus 2 $tiny
mistake 5 "use --processes 2 to train on the processors" pretrain set --out a --gpus 2 $tiny
mistake 2 "--gpus 2 with --device cpu: use --processes 2" pretrain set --out a --gpus 2 --device cpu $tiny
mistake 2 "--batch-size 8: 3 processes take equal shares" pretrain set --out a --processes 3 --device cpu $tiny
for launcher in WORLD_SIZE=2 SLURM_NTASKS=2; do
  export "$launcher"
  mistake 2 "$launcher says that 2 processes were started, and nothing brings them together; start with:" pretrain set --out a $tiny
  unset "${launcher%=*}"
done
export WORLD_SIZE=4 RANK=0
mistake 2 "embed works in one process, and torchrun has started 4 (WORLD_SIZE=4)" embed set --encoder run/encoder.safetensors --out b.npz
unset WORLD_SIZE RANK
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
