#!/usr/bin/env bash
# Runs the fuzz targets of tests/fuzz, one after the other, each for a given time (default: 60 seconds):
#   scripts/fuzz.sh [SECONDS] [TARGET...]        for example: scripts/fuzz.sh 600 jpeg png
# The corpus stays in build/fuzz/corpus/TARGET and grows from run to run; an input that fails is kept in
# build/fuzz/findings. Ends with one line for each target, and fails if a target found anything.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true
[[ $seconds =~ ^[0-9]+$ ]] || { echo "usage: scripts/fuzz.sh [SECONDS] [TARGET...]" >&2; exit 2; }

scripts/install_packages.sh clang libclang-rt-dev libomp-dev
[ -f build/fuzz/build.ninja ] || cmake --preset fuzz >/dev/null
if [ $# -eq 0 ]; then
  mapfile -t names < <(cd tests/fuzz && ls fuzz_*.cpp | sed -E 's/^fuzz_(.*)\.cpp$/\1/' | grep -vx -e target -e test)
  set -- "${names[@]}"
fi
cmake --build --preset fuzz --target "${@/#/fuzz_}"

summary=()
status=0
mkdir -p build/fuzz/findings
for target in "$@"; do
  program=build/fuzz/tests/fuzz/fuzz_$target
  corpus=build/fuzz/corpus/$target
  log=build/fuzz/$target.log
  "$program" --write-seeds "$corpus"
  outcome=clean
  # An input that takes 10 seconds or a gigabyte is a finding too.
  "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=65536 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/findings/$target-" "$corpus" >"$log" 2>&1 || { outcome="FAILED, see $log"; status=1; }
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  summary+=("fuzz $target: $outcome, ${runs:-?} inputs in $seconds s, $(find "$corpus" -type f | wc -l) in the corpus")
done
printf '%s\n' "${summary[@]}"
exit $status
