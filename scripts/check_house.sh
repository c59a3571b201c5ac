#!/usr/bin/env bash
# Refuses what the house does not allow: includes that point up, device #ifdefs outside the engine.
set -euo pipefail
cd "$(dirname "$0")/.."
status=0

# room: rooms that it may not include
while read -r room forbidden; do
  if grep -rnE "#include [\"<](kindred/)?($forbidden)/" "$room" --include='*.h' --include='*.cpp' --include='*.cu'; then
    echo "error: $room includes what stands above it" >&2
    status=1
  fi
done <<'ROOMS'
engine layers|losses|models|data|apps
layers losses|models|data|apps
losses models|data|apps
data layers|losses|models|apps
models losses|data|apps
ROOMS

if grep -rnE '^#[[:space:]]*if.*(CUDA|ONEDNN|DNNL)' layers losses models data apps; then
  echo "error: a device #ifdef outside engine" >&2
  status=1
fi
exit $status
