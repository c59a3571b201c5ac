#!/usr/bin/env bash
# Installs the built library into a fresh folder, builds examples/ against it as a user would, and runs them. Installs what
# a package has, too: nothing may be written outside of the prefix.
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
  # cmake's own list of what it installed lies in the build folder.
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

for example in examples/*/; do
  name=$(basename "$example")
  cmake -S "$example" -B "$build/examples/$name" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
  cmake --build "$build/examples/$name" >/dev/null
  "$build/examples/$name/$name"
done
