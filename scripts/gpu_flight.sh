#!/usr/bin/env bash
# A quarter of an hour on a GPU that is seldom at hand, prepared elsewhere. docs/gpu_flight.md says what each part asks.
#
#   scripts/gpu_flight.sh --pack FILE [--data FOLDER_OR_TAR]       build for H100 and H200, and pack; needs no GPU
#   scripts/gpu_flight.sh --part a|b|c|d --seconds N --out DIR     run a part, from the unpacked package or the source tree
#   scripts/gpu_flight.sh --rehearse                               all of it, on a machine without a GPU
set -euo pipefail
exec python3 "$(cd "$(dirname "$0")" && pwd)/flight/flight.py" "$@"
