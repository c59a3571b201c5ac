#!/usr/bin/env bash
# Refuses what the house does not allow (docs/architecture.md): includes that point up, device #ifdefs outside the engine,
# crowded folders, long sources of apps, names that sources could take from each other.
scripts=$(dirname "$0")
PYTHONPATH=$scripts exec python3 "$scripts/house/check_house.py"
