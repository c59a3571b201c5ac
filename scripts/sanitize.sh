#!/usr/bin/env bash
# Builds and runs all the tests under the sanitizers: asan (addresses and undefined behaviour), tsan (threads), and
#   debug, with the standard library's assertions. Takes most of an hour on two cores. scripts/sanitize.sh
#   [asan|tsan|debug]... [-- DOCTEST_ARGUMENT...]
set -euo pipefail
cd "$(dirname "$0")/.."

presets=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do presets+=("$1"); shift; done
shift || true
[ ${#presets[@]} -gt 0 ] || presets=(asan tsan debug)

export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1:suppressions=$PWD/tests/thread_sanitizer.supp:${TSAN_OPTIONS:-}"
export ASAN_OPTIONS="detect_stack_use_after_return=1:strict_string_checks=1:${ASAN_OPTIONS:-}"
scripts/install_packages.sh
status=0
for preset in "${presets[@]}"; do
  scripts/build.sh "$preset"
  if "build/$preset/tests/kindred_tests" "$@"; then echo "$preset: clean"
  else echo "$preset: FAILED"; status=1; fi
done
exit $status
