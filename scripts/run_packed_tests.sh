#!/usr/bin/env bash
# Runs the unit tests of a package that was unpacked anywhere. Arguments go to the tests.
set -euo pipefail
share=$(cd "$(dirname "$0")/.." && pwd)
export KINDRED_GOLDEN_DIR=$share/tests/golden KINDRED_APPS_DIR=$share/bin
exec "$share/bin/kindred_tests" "$@"
