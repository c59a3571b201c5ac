#!/usr/bin/env bash
# Installs the built library into a fresh folder, counts its headers and compiles each alone, builds examples/ against it as
# a user would, without CUDA's toolkit, and runs them. Also installs the content of a package: nothing may be written
# outside of the prefix.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "${1:-build/release}")
prefix="$build/installed"
rm -rf "$prefix"

# install_into PREFIX [OPTION...]: from an empty folder, which must stay empty.
install_into() {
  local here status=0 stray
  here=$(mktemp -d)
  touch "$build/before_install"
  (cd "$here" && cmake --install "$build" --prefix "$@" >/dev/null) || status=$?
  # cmake keeps its list of installed files in the build folder.
  stray=$(find "$here" -mindepth 1
          find "$build" -newer "$build/before_install" -type f -not -path "$1/*" -not -name 'install_manifest*.txt')
  rm -rf "$here" "$build/before_install"
  if [ -n "$stray" ]; then
    echo "error: cmake --install --prefix $* wrote outside of the prefix:" $stray >&2
    status=1
  fi
  return $status
}

install_into "$prefix"
portable=$(mktemp -d)
trap 'rm -rf "$portable"' EXIT
for component in programs portable; do install_into "$portable" --component $component; done
if command -v dpkg-query >/dev/null && [ -z "$(find "$portable" -path '*/licenses/*' -print -quit)" ]; then
  echo "error: what a package has is without the licences of the libraries in it" >&2
  exit 1
fi

if [ "$(ls "$prefix/bin")" != kindred ]; then
  echo "error: bin holds" $(ls "$prefix/bin") "and not only kindred: short names may be those of other packages" >&2
  exit 1
fi
"$prefix/share/kindred/bin/make_toy_dataset" --help >/dev/null

# Each installed header alone, with nothing of Kindred around it but what is installed. Takes half a minute, so only when a
# header has changed.
compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")
export compiler
compile_header() {  # FOLDER HEADER
  "$compiler" -std=c++20 -fsyntax-only -I "$1" -x c++ - <<<"#include <$2>"
}
export -f compile_header
headers=$(cd "$prefix/include" && find kindred -name '*.h' | sort)
count=$(wc -l <<<"$headers")
if [ "$count" -gt 30 ] || ! grep -qx kindred/kindred.h <<<"$headers"; then
  echo "error: $count headers are installed; expected at most 30, kindred.h among them. They are those that kindred.h includes" >&2
  exit 1
fi
state=$({ (cd "$prefix/include" && xargs sha256sum <<<"$headers"); cat scripts/check_install.sh; "$compiler" --version; } | sha256sum)
if [ "$(cat "$build/headers.passed" 2>/dev/null)" != "$state" ]; then
  if ! xargs -P 2 -I HEADER bash -c "compile_header '$prefix/include' HEADER" <<<"$headers"; then
    echo "error: an installed header does not compile alone; it may include only what kindred.h includes too (cmake/KindredHeaders.cmake)" >&2
    exit 1
  fi
  # The check of the check: without a header that another one includes.
  cp -r "$prefix/include" "$portable/without_one"
  rm "$portable/without_one/kindred/engine/device.h"
  if compile_header "$portable/without_one" kindred/engine/tensor.h 2>/dev/null; then
    echo "error: a missing header was not noticed" >&2
    exit 1
  fi
  echo "$state" >"$build/headers.passed"
fi

# As on a machine without CUDA's toolkit: whoever looks for it does not find it.
for example in examples/*/; do
  name=$(basename "$example")
  cmake -S "$example" -B "$build/examples/$name" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_DISABLE_FIND_PACKAGE_CUDAToolkit=ON --no-warn-unused-cli >/dev/null
  cmake --build "$build/examples/$name" >/dev/null
  "$build/examples/$name/$name"
done
echo "installed: $count headers that compile alone; the examples run, without CUDA's toolkit"
