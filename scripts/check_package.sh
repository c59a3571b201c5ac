#!/usr/bin/env bash
# Makes the package, unpacks it elsewhere, and runs tests there with only the C library installed.
#
#   scripts/check_package.sh [BUILD [TEST ARGUMENTS...]]       without arguments: the programs, end to end
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}
shift || true
tests=("$@")
[ ${#tests[@]} -gt 0 ] || tests=("--test-case=both stages*,data sets that cannot*,plan book*,a shared library*,similar: search for*,serve: neighbours*")

(cd "$build" && cpack --config CPackConfig.cmake >/dev/null)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tar -xzf "$build"/kindred-*.tar.gz -C "$folder"
root=$(echo "$folder"/kindred-*)

# One program, and a link to it for each of its words.
links=$(cd "$root/share/kindred/bin" && find . -type l -lname ../../../bin/kindred | wc -l)
if [ "$(ls "$root/bin")" != kindred ] || [ "$links" -lt 10 ]; then
  echo "error: bin holds" $(ls "$root/bin") "and share/kindred/bin $links links to bin/kindred; expected kindred, and a link a program" >&2
  exit 1
fi

for module in mpi faiss http; do
  if [ -e "$build/third_party/libkindred_$module.so" ] && [ ! -e "$root/lib/kindred/libkindred_$module.so" ]; then
    echo "error: libkindred_$module.so was built and is not in the package" >&2
    exit 1
  fi
done

# Every library except the C library must come from the package, also those that its libraries need.
stray=$(for program in "$root"/bin/* "$root"/share/kindred/bin/* "$root"/lib/kindred/libkindred_{faiss,http}.so; do ldd "$program"; done |
  grep '=>' | grep -vE "=> $folder|lib(c|m|dl|rt|pthread)\.so" || true)
if [ -n "$stray" ]; then
  echo "error: libraries from outside the package:" >&2
  sort -u <<<"$stray" >&2
  exit 1
fi
env -i PATH=/usr/bin:/bin HOME="$folder" "$root/share/kindred/scripts/run_packed_tests.sh" "${tests[@]}"
echo "package: $(du -h "$build"/kindred-*.tar.gz | cut -f1), $(find "$root" -type f | wc -l) files"
