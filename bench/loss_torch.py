#!/usr/bin/env python3
"""PyTorch's side of the loss alone: the masked form of SupCon with its N x N matrix, forward and backward."""
import argparse
import sys
import time

import torch
import torch.nn.functional as F

from train_step_torch import supcon


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=8192)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--steps", type=int, default=1, help="for each line, in a row")
    a = parser.parse_args()
    torch.manual_seed(0)
    z = F.normalize(torch.rand(a.rows, a.dim, device=a.device) * 2 - 1).requires_grad_()
    labels = torch.randint(0, 1000, (a.rows,), device=a.device)
    loss = torch.compile(supcon) if a.compile else supcon
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(a.steps):
            z.grad = None
            loss(z, labels).backward()
        if a.device == "cuda":
            torch.cuda.synchronize()
        print((time.perf_counter() - start) * 1e3 / a.steps, flush=True)


if __name__ == "__main__":
    main()
