#!/usr/bin/env bash
# Makes every kind of page from a small run, and opens them in the system's Chromium (check_pages.py, check_serve.py).
#   scripts/browser/check_all.sh PROGRAMS [SHOTS]     PROGRAMS: the folder of the programs; SHOTS: where screenshots are kept
# Says "skipped: " where there is no browser and none can be installed, or pip cannot bring what drives it.
set -euo pipefail
apps=$(realpath "${1:?usage: check_all.sh PROGRAMS [SHOTS]}")
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
shots=$(realpath -m "${2:-$work/shots}")
code=0
said=$(python3 "$here/browser.py") || code=$?
if [ $code = 3 ] && "$here/../install_packages.sh" chromium >/dev/null 2>&1; then  # no browser of any name
  code=0
  said=$(python3 "$here/browser.py") || code=$?
fi
if [ $code = 3 ]; then echo "$said"; exit 0; fi
[ $code = 0 ] || exit 1

cd "$work"
{
  "$apps/make_toy_dataset" set --classes 6 --per-class 40 --image-size 32
  mv "set/train/$(ls set/train | head -n 1)" "set/train/<b>bold & \"quoted\"</b>"  # a name that would be markup
  mv "set/val/$(ls set/val | head -n 1)" "set/val/<b>bold & \"quoted\"</b>"
  for seed in 0 1; do
    "$apps/pretrain" set --out run$seed --model resnet20 --image-size 32 -b 64 --epochs 3 --seed $seed --report --device cpu
  done
  "$apps/linear_probe" set --encoder run0 --out run0/probe --epochs 3 --device cpu
  "$apps/report" run0 --out run.html
  "$apps/report" run0 run1 --out runs.html
  head -c -40 run1/metrics.jsonl >cut && mv cut run1/metrics.jsonl
  "$apps/report" run1 --out cut.html
  "$apps/map_embedding" set --split train --encoder run0 --out map.html
  "$apps/embed" set --encoder run0 --out features.npz
  python3 "$here/without_classes.py" features.npz 30 some.npz
  "$apps/map_embedding" some.npz --out some.html
  "$apps/similar" index set --encoder run0 --out index
  "$apps/similar" search index set/val/*/00000.jpg --html search.html
  for word in duplicates outliers mislabeled; do "$apps/similar" $word index --html $word.html; done
  "$apps/check_data" set --views --out data
} >made.log 2>&1 || { cat made.log; exit 1; }

# How fast a map moves depends on the machine: without --frames 0 that is measured too.
python3 "$here/check_pages.py" run0/report.html run.html runs.html cut.html map.html search.html duplicates.html outliers.html \
  mislabeled.html data/check_data.html some.html --rings some.html --frames 0 --shots "$shots" >pages.log 2>&1 || code=$?
[ $code = 0 ] || { cat pages.log; [ $code = 3 ] || exit 1; exit 0; }
tail -n 1 pages.log
python3 "$here/check_serve.py" run0 set/train --classifier run0/probe --index index --build "$apps/.." --shots "$shots" >serve.log 2>&1 ||
  { cat serve.log; exit 1; }
tail -n 2 serve.log
