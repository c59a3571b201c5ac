#!/usr/bin/env bash
# Installs what is missing, builds, runs every test, and ends with one line:
#   tests: N passed, N failed, N skipped
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install_packages.sh
scripts/build.sh release

log=build/release/tests.log
status=0
build/release/tests/kindred_tests "$@" 2>&1 | tee "$log" || status=$?

# "[doctest] test cases:   4 |   3 passed | 1 failed | 0 skipped"
summary=$(grep -a '\[doctest\] test cases:' "$log" | tail -n 1 || true)
count() { sed -E "s/.*[^0-9]([0-9]+) $1.*/\1/" <<<"$summary"; }
if [ -z "$summary" ]; then  # the program died before it could count
  echo "tests: 0 passed, 1 failed, 0 skipped"
  exit 1
fi
passed=$(count passed) failed=$(count failed)
skipped=$(grep -a -c '^skipped: ' "$log" || true) # a test that cannot run here says so, and why
passed=$((passed - skipped))
# Cases that need a GPU are left out by doctest itself, which counts cases left out by a filter in the same place.
if [ $# -eq 0 ]; then skipped=$((skipped + $(count skipped))); fi

if scripts/check_house.sh; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
if scripts/check_install.sh build/release; then passed=$((passed + 1)); else failed=$((failed + 1)); fi

# The test of the tests: planted errors must turn the suite red. Costs a minute, so only when sources changed.
if [ $# -eq 0 ]; then
  if python3 scripts/mutation_test.py --build build/release; then passed=$((passed + 1))
  else failed=$((failed + 1)); fi
fi

echo "tests: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$status" -eq 0 ]
