#!/usr/bin/env bash
# Builds Kindred for 64-bit Arm (Grace, Graviton) on a Debian machine of another kind, and runs its tests under qemu-user.
#   scripts/arm.sh                          # the whole suite: hours
#   scripts/arm.sh --quick                  # engine, layers and losses, with NEON and without vectors
#   scripts/arm.sh DOCTEST_ARGUMENT...      # chosen cases of the whole suite
# Arm's packages are unpacked into build/aarch64/sysroot; of the machine itself only the cross compiler and qemu are installed.
# Cases that start programs need a kernel that hands Arm's programs to qemu (binfmt_misc). Where it does not, the rooms with
# such cases are left out. Says "skipped: " where the packages cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$PWD/build/aarch64 sysroot=$PWD/build/aarch64/sysroot
skip() { echo "skipped: Arm: $*"; exit 0; }

# shellcheck disable=SC1091
. /etc/os-release
[ "${ID:-}" = debian ] || skip "Arm's packages come with Debian's, and this is ${PRETTY_NAME:-another system}"
scripts/install_packages.sh g++-aarch64-linux-gnu qemu-user-static || skip "g++-aarch64-linux-gnu and qemu-user-static cannot be installed"

# Fills the folder $sysroot with Arm's packages of the libraries that the build uses, and all that those need.
unpack_packages() {
  local state=$build/packages compiler package link names
  compiler=$(aarch64-linux-gnu-g++ -dumpversion | cut -d. -f1)
  # Programs are run on this machine, as are the compiler's.
  names=$(scripts/install_packages.sh --list | grep -E '^(lib|fonts-)|-dev$')
  rm -rf "$sysroot" "$state"
  mkdir -p "$sysroot" "$state"/{state/lists/partial,cache/archives/partial}
  : >"$state/status"  # as if nothing was installed
  cat >"$state/apt.conf" <<CONF
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
Dir::State "$state/state";
Dir::State::status "$state/status";
Dir::Cache "$state/cache";
Dir::Etc::main "/dev/null";
CONF
  export APT_CONFIG=$state/apt.conf
  # shellcheck disable=SC2086
  apt-get update -qq && apt-get install -y -qq --no-install-recommends --download-only \
    libc6-dev "libstdc++-$compiler-dev" libgomp1 $names >/dev/null || return 1
  unset APT_CONFIG
  for package in "$state"/cache/archives/*.deb; do dpkg-deb -x "$package" "$sysroot"; done
  # Links that begin at the root would lead to the files of this machine.
  find "$sysroot" -type l -lname '/*' -print0 | while IFS= read -r -d '' link; do
    ln -sfn "$(realpath -m --relative-to="$(dirname "$link")" "$sysroot$(readlink "$link")")" "$link"
  done
  # Which BLAS is meant is decided when its package is configured, which does not happen here.
  for package in blas lapack; do
    for ending in so so.3; do
      ln -sfn "$package/lib$package.$ending" "$sysroot/usr/lib/aarch64-linux-gnu/lib$package.$ending"
    done
  done
  # Paths that packages wrote down for CMake.
  find "$sysroot/usr/lib/aarch64-linux-gnu/cmake" -name '*.cmake' -exec \
    sed -i -E "s#([;\"])/usr/lib/aarch64-linux-gnu/#\\1$sysroot/usr/lib/aarch64-linux-gnu/#g" {} +
  rm -r "$state"
  touch "$sysroot/complete"
}
[ -f "$sysroot/complete" ] || unpack_packages || skip "its packages cannot be downloaded"

[ -f "$build/build.ninja" ] || cmake --preset aarch64 -DKINDRED_SYSROOT="$sysroot" >/dev/null
export QEMU_LD_PREFIX=$sysroot  # where programs find Arm's libraries
under_qemu() { echo "--- $*" && qemu-aarch64-static "$@"; }

if [ "${1:-}" = --quick ]; then
  shift
  cmake --build --preset aarch64 --target kernel_tests
  under_qemu "$build/tests/kernel_tests" "$@"
  KINDRED_CPU=scalar under_qemu "$build/tests/kernel_tests" "--source-file=*tests/layers/*,*tests/losses/*,*tests/gradcheck/*" "$@"
  exit
fi
cmake --build --preset aarch64 --target kindred_tests programs
under_qemu "$build/apps/kindred" --version
if "$build/apps/kindred" --version >/dev/null 2>&1; then cases=()
else
  echo "note: this kernel does not hand Arm's programs to qemu (binfmt_misc), so rooms whose cases start programs are left out"
  cases=("--source-file-exclude=*tests/apps/*,*tests/encoder/*")
fi
under_qemu "$build/tests/kindred_tests" "${cases[@]}" "$@"
