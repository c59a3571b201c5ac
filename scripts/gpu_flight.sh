#!/usr/bin/env bash
# A quarter of an hour on a GPU that is rarely available, prepared on another machine. docs/gpu_flight.md explains the
# parts.
#
#   scripts/gpu_flight.sh --pack FILE [--data FOLDER_OR_TAR]       build for H100 and H200, and pack; needs no GPU
#   scripts/gpu_flight.sh --part a|b|c|d --seconds N --out DIR     run a part, from the unpacked package or the source tree
#   scripts/gpu_flight.sh --rehearse                               everything, on a machine without a GPU
set -euo pipefail
exec python3 "$(cd "$(dirname "$0")" && pwd)/flight/flight.py" "$@"
