#!/usr/bin/env bash
# Configures a CMake preset (default: release) and builds it into build/<preset>: everything, or only the named targets.
#   scripts/build.sh [PRESET [TARGET...]]        # scripts/build.sh release programs
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
shift || true
[ -f "build/$preset/build.ninja" ] || cmake --preset "$preset" >/dev/null
cmake --build --preset "$preset" ${1:+--target "$@"}
