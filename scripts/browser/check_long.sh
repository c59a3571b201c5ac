#!/usr/bin/env bash
# Makes the pages that take long to make, and opens them as check_all.sh does the small ones: of a run of ten epochs, of four
# runs, of one of a thousand, of a run under way, of that run after it was killed and its metrics cut off in a line, and, with a
# folder of images, a map of all of them (60,000 for CIFAR-10), which must draw 30 frames a second while it is dragged.
#   scripts/browser/check_long.sh PROGRAMS SHOTS [IMAGES]    IMAGES: a folder with a folder for each class, or parts with such
set -euo pipefail
usage="usage: check_long.sh PROGRAMS SHOTS [IMAGES]"
apps=$(realpath "${1:?$usage}") shots=$(realpath -m "${2:?$usage}") images=${3:+$(realpath "$3")}
here=$(dirname "$(realpath "$0")")
python3 "$here/browser.py" >/dev/null  # ends with code 3 where there is no browser
work=$(mktemp -d)
under_way=
trap 'kill -9 $under_way 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
look() { python3 "$here/check_pages.py" "$@" --shots "$shots"; }
quietly() { "$@" >>made.log 2>&1 || { tail -n 20 made.log; exit 1; }; }
train() { quietly "$apps/pretrain" "$@" --device cpu; }

quietly "$apps/make_toy_dataset" set --classes 6 --per-class 40 --image-size 32
for seed in 0 1 2 3; do
  train set --out ten$seed --model resnet20 --image-size 32 -b 120 --epochs 10 --seed $seed --learning-rate "0.$((seed + 1))"
done
quietly "$apps/report" ten0 --out ten.html
quietly "$apps/report" ten0 ten1 ten2 ten3 --out four.html
look ten.html four.html --frames 0

quietly "$apps/make_toy_dataset" small --classes 2 --per-class 16 --image-size 16
train small --out thousand --model resnet20 --image-size 16 -b 16 --epochs 1000 --report
[ "$(wc -l <thousand/metrics.jsonl)" -ge 1000 ]
cp thousand/report.html thousand.html
look thousand.html --frames 0

"$apps/pretrain" set --out going --model resnet20 --image-size 32 -b 120 --epochs 100000 --report --device cpu >going.log 2>&1 &
under_way=$!
until [ -f going/report.html ] && [ "$(wc -l <going/metrics.jsonl)" -ge 5 ]; do
  kill -0 $under_way || { tail going.log; exit 1; }
  sleep 1
done
look going/report.html --frames 0
quietly "$apps/report" going --out going.html   # as anybody may ask for it meanwhile
look going.html --frames 0
kill -9 $under_way
wait $under_way 2>/dev/null || true
under_way=
truncate --size=-40 going/metrics.jsonl
quietly "$apps/report" going --out killed.html
look killed.html --frames 0

[ -n "$images" ] || { echo "no map: no folder of images was named"; exit 0; }
while IFS= read -r folder; do  # each class with the images of every part
  mkdir -p "whole/train/$(basename "$folder")"
  cp -rs "$folder" "whole/train/$(basename "$folder")/$(basename "$(dirname "$folder")")"
done < <(find "$images" -type f -printf '%h\n' | sort -u)
train whole --out encoder --model resnet20 --image-size 32 --limit-per-class 500 --epochs 2
quietly "$apps/map_embedding" whole --split train --encoder encoder --out map.html
grep -i 'images\|s of' made.log | tail -n 3
look map.html --frames 30
