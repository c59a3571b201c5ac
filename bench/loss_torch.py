#!/usr/bin/env python3
"""PyTorch's side of the loss alone: the masked form of SupCon with its N x N matrix, forward and backward."""
import argparse
import resource
import sys
import time

import torch
import torch.nn.functional as F

from train_step_torch import supcon


def resident_bytes():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2048)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--steps", type=int, default=1, help="for each line, in a row")
    parser.add_argument("--memory", action="store_true", help="one pass, and the bytes by which the process grew for it")
    a = parser.parse_args()
    if a.threads:
        torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    z = F.normalize(torch.randn(a.rows, a.dim, device=a.device)).requires_grad_()
    labels = torch.randint(0, a.classes, (a.rows,), device=a.device)
    loss = torch.compile(supcon) if a.compile else supcon

    def one_pass():
        z.grad = None
        loss(z, labels).backward()

    if a.memory:
        before = resident_bytes()
        one_pass()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before)
        return
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(a.steps):
            one_pass()
        if a.device == "cuda":
            torch.cuda.synchronize()
        print((time.perf_counter() - start) * 1e3 / a.steps, flush=True)


if __name__ == "__main__":
    main()
