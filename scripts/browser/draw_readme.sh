#!/usr/bin/env bash
# The pictures of pages in the README, of the demo's run (scripts/demo.sh) and its toy set, which this project draws itself.
#   scripts/browser/draw_readme.sh [RUNS]     RUNS holds demo and toy (runs); writes docs/page_*.png
set -euo pipefail
cd "$(dirname "$0")/../.."
runs=$(realpath "${1:-runs}") root=$PWD apps=$PWD/build/release/apps
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
ln -s "$runs" runs
"$apps/report" runs/demo --out report.html --data runs/toy --quiet
"$apps/map_embedding" runs/toy --split train --encoder runs/demo --out map.html --quiet
"$apps/similar" index runs/toy --split train --encoder runs/demo --out index --quiet
"$apps/similar" search index runs/toy/val/{circle_stripes,ring_rings,star_plain}/00000.jpg -k 7 --html search.html >/dev/null
python3 - "$root" <<'PYTHON'
import pathlib
import sys

root = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(root / "scripts/browser"))
from browser import Browser

SIZES = {"report": (1100, 760), "map": (1100, 640), "search": (1100, 640)}
with Browser() as browser:
    for name, (width, height) in SIZES.items():
        page = browser.page(width=width, height=height)
        page.goto(pathlib.Path(f"{name}.html").resolve().as_uri())
        page.wait_for_timeout(1500)  # charts are drawn when fonts are there
        page.screenshot(path=str(root / f"docs/page_{name}.png"))
PYTHON
