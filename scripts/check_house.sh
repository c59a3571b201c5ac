#!/usr/bin/env bash
# Refuses what the house does not allow (docs/architecture.md): includes that point up, device #ifdefs outside the engine,
# crowded folders.
exec python3 "$(dirname "$0")/check_house.py"
