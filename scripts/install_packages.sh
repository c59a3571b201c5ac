#!/usr/bin/env bash
# Installs the packages that Kindred's build needs (Debian 12 and later, Ubuntu 24.04), and those that are named. Does nothing
# if they are all installed. With --list alone it prints their names.
set -euo pipefail
list=0
[ "${1:-}" = --list ] && { list=1; shift; }

packages=(g++ cmake ninja-build pkg-config python3 libdnnl-dev libhwy-dev libfmt-dev libcli11-dev nlohmann-json3-dev doctest-dev
          libjpeg-dev libdeflate-dev libstb-dev libxxhash-dev zlib1g-dev libwebp-dev libtiff-dev libgif-dev
          libheif-dev libonnx-dev libprotobuf-dev protobuf-compiler libopenmpi-dev openmpi-bin libfaiss-dev
          libfftw3-dev libcpp-httplib-dev libjs-chart.js fonts-dejavu-core "$@")

[ $list -eq 0 ] || { printf '%s\n' "${packages[@]}"; exit 0; }

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "installing: ${missing[*]}"
sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "error: run as root, or install sudo: packages are missing" >&2; exit 1; }
  sudo=(sudo)
fi
"${sudo[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
