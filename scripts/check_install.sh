#!/usr/bin/env bash
# Installs the built library into a fresh folder, builds examples/ against it as a user would, and runs them.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}
prefix="$PWD/$build/installed"
rm -rf "$prefix"
cmake --install "$build" --prefix "$prefix" >/dev/null
for example in examples/*/; do
  name=$(basename "$example")
  cmake -S "$example" -B "$build/examples/$name" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
  cmake --build "$build/examples/$name" >/dev/null
  "$build/examples/$name/$name"
done
