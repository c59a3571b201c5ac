#!/usr/bin/env bash
# Installs what is missing, builds, runs every test, and ends with one line:
#   tests: N passed, N failed, N skipped
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install_packages.sh
scripts/build.sh release

# run_tests PROGRAM [ARGUMENTS...]: adds to passed, failed and skipped.
passed=0 failed=0 skipped=0 status=0
run_tests() {
  local log=build/release/$(basename "$1").log summary here_skipped
  "$@" 2>&1 | tee "$log" || status=1
  # "[doctest] test cases:   4 |   3 passed | 1 failed | 0 skipped"
  summary=$(grep -a '\[doctest\] test cases:' "$log" | tail -n 1 || true)
  if [ -z "$summary" ]; then  # the program died before it could count
    failed=$((failed + 1))
    return
  fi
  count() { sed -E "s/.*[^0-9]([0-9]+) $1.*/\1/" <<<"$summary"; }
  here_skipped=$(grep -a -c '^skipped: ' "$log" || true) # a test that cannot run here says so, and why
  passed=$((passed + $(count passed) - here_skipped)) failed=$((failed + $(count failed)))
  skipped=$((skipped + here_skipped))
}

run_tests build/release/tests/kindred_tests "$@"
# Cases that need a GPU are left out above where there is none. Its kernels then run on the host instead.
if [ $# -eq 0 ]; then
  if nvidia-smi -L >/dev/null 2>&1; then echo "the GPU's kernels ran on the GPU"
  else run_tests build/release/tests/emulated_tests "--test-case=*cuda*,*GPU*,optimizer*,resident*"; fi
fi

if scripts/check_house.sh; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
if scripts/check_install.sh build/release; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
if scripts/check_package.sh build/release; then passed=$((passed + 1)); else failed=$((failed + 1)); fi

# The test of the tests: planted errors must turn the suite red. Costs a minute, so only when sources changed.
if [ $# -eq 0 ]; then
  if python3 scripts/mutation_test.py --build build/release; then passed=$((passed + 1))
  else failed=$((failed + 1)); fi
fi

echo "tests: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$status" -eq 0 ]
