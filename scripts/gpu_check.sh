#!/usr/bin/env bash
# Everything that needs a GPU, in one command: the tests on it, compute-sanitizer on the small ones, and the speeds beside
# PyTorch's in one table. From the source tree after a build, or from an unpacked package.
#
#   scripts/gpu_check.sh [--python PYTHON] [--quick] [--only tests|memcheck|racecheck|speed]... [--limit SECONDS]
#
# PYTHON: one that has torch, for the comparison. --limit: for each step; what it has printed by then stays.
set -uo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
python=python3 repeats=7 only=() limit=0
while [ $# -gt 0 ]; do
  case $1 in
    --python) python=$2; shift ;;
    --quick) repeats=3 ;;
    --only)
      [[ "$2" =~ ^(tests|memcheck|racecheck|speed)$ ]] || { echo "error: --only $2: expected tests, memcheck, racecheck or speed" >&2; exit 2; }
      only+=("$2"); shift ;;
    --limit) limit=$2; shift ;;
    *) echo "usage: scripts/gpu_check.sh [--python PYTHON] [--quick] [--only STEP]... [--limit SECONDS]" >&2; exit 2 ;;
  esac
  shift
done

if [ -x "$here/bin/kindred_tests" ]; then # a package
  tests=("$here/scripts/run_packed_tests.sh") program=$here/bin/kindred_tests benches=$here/bin
  export KINDRED_GOLDEN_DIR=$here/tests/golden KINDRED_APPS_DIR=$here/../../bin
else
  program=$here/build/release/tests/kindred_tests tests=("$here/build/release/tests/kindred_tests")
  benches=$here/build/release/bench
  [ -x "$program" ] || { echo "error: build first (scripts/build.sh)" >&2; exit 2; }
fi

nvidia-smi -L || { echo "error: no GPU answers here" >&2; exit 5; }
nvidia-smi --query-gpu=driver_version,memory.total --format=csv,noheader
status=0
step() { # step NAME COMMAND...
  if [ ${#only[@]} -gt 0 ] && [[ " ${only[*]} " != *" $1 "* ]]; then return; fi
  echo "== $1"
  timeout "$limit" "${@:2}"
  case $? in # 124 is timeout's own
    0) echo "== $1: passed, $SECONDS s since the start" ;;
    124) echo "== $1: stopped after $limit s"; status=1 ;;
    *) echo "== $1: FAILED"; status=1 ;;
  esac
}

step tests "${tests[@]}"
# One case at a time costs minutes under a sanitizer; these reach every kernel.
small='--test-case=*on a GPU*,cuda agrees with reference in f32,optimizer*,linear layers on a GPU*,supcon on cuda: a row*,supcon on cuda: two*,supcon on cuda: the variants*,cross_entropy on cuda*,steps on cuda*'
if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck; do
    step "$tool" compute-sanitizer --tool "$tool" --error-exitcode 1 "$program" "$small" \
      '--test-case-exclude=*at once*' # cuDNN's kernels, compiled for each shape
  done
else
  echo "== compute-sanitizer: not installed, left out"
fi
step speed "$python" "$here/bench/gpu.py" --programs "$benches" --python "$python" --repeats "$repeats"
exit $status
