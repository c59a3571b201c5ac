#!/usr/bin/env python3
"""Turns a PyTorch checkpoint (.pth, .pt, .bin) into safetensors, which Kindred reads without running code.

    scripts/convert_pth.py weights.pth weights.safetensors

Needs torch and safetensors (pip install torch safetensors). A .pth file is a pickle: it can run code while it is read.
Newer PyTorch is told to load only tensors. If a file needs more (SupContrast's files also hold options), --unsafe
allows it. Use this only for files from somebody you trust.

If a file holds more than weights, only the weights are taken: the entry "model", "state_dict", "model_ema" or
"teacher", in this order. Names do not change; `pretrain --weights` and `linear_probe --weights` know torchvision's,
timm's and SupContrast's.
"""
import argparse
import inspect
import sys

PLACES = ("model", "state_dict", "model_ema", "teacher")


def weights_of(loaded):
    for place in PLACES:
        if isinstance(loaded, dict) and isinstance(loaded.get(place), dict):
            return loaded[place]
    return loaded.state_dict() if hasattr(loaded, "state_dict") else loaded


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--unsafe", action="store_true", help="allow the file to run code: only if you trust it")
    a = parser.parse_args()
    try:
        import torch
        from safetensors.torch import save_file
    except ImportError as error:
        sys.exit(f"error: {error}; pip install torch safetensors")

    safely = "weights_only" in inspect.signature(torch.load).parameters  # since PyTorch 1.13
    if not safely and not a.unsafe:
        sys.exit("error: this PyTorch cannot load tensors alone; give --unsafe if you trust the file")
    try:
        loaded = torch.load(a.source, map_location="cpu", **({"weights_only": not a.unsafe} if safely else {}))
    except Exception as error:  # a pickle may raise anything
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        sys.exit(f"error: {a.source}: {first_line} (a file with more than tensors in it needs --unsafe)")
    weights = weights_of(loaded)
    if not isinstance(weights, dict):
        sys.exit(f"error: {a.source} holds a {type(weights).__name__}, not weights by name")
    tensors = {name: value.detach().clone().contiguous() for name, value in weights.items()
               if isinstance(value, torch.Tensor)}
    if not tensors:
        sys.exit(f"error: {a.source} holds no tensors by name")
    save_file(tensors, a.target, metadata={"format": "pt"})
    left = len(weights) - len(tensors)
    print(f"{a.target}: {len(tensors)} tensors" + (f"; {left} entries are no tensors and were left out" if left else ""))


if __name__ == "__main__":
    main()
