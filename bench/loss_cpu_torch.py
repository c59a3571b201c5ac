#!/usr/bin/env python3
"""PyTorch's side of bench/loss.py: SupCon in its masked form, as its authors' code has it, forward and backward."""
import argparse
import resource
import sys
import time

import torch


def supcon(z, labels, temperature=0.1):
    logits = z @ z.T / temperature
    logits = logits - logits.max(dim=1, keepdim=True).values.detach()
    others = torch.ones_like(logits).fill_diagonal_(0)
    positives = (labels[:, None] == labels[None, :]).float() * others
    log_probability = logits - torch.log((torch.exp(logits) * others).sum(1, keepdim=True))
    return -((positives * log_probability).sum(1) / positives.sum(1).clamp(min=1)).mean()


def resident_bytes():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=2048)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", action="store_true")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    z = torch.nn.functional.normalize(torch.randn(a.rows, a.dim)).requires_grad_()
    labels = torch.randint(0, 10, (a.rows,))

    def one_pass():
        z.grad = None
        supcon(z, labels).backward()

    if a.memory:
        before = resident_bytes()
        one_pass()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before)
        return
    for _ in sys.stdin:
        start = time.perf_counter()
        one_pass()
        print((time.perf_counter() - start) * 1e3, flush=True)


if __name__ == "__main__":
    main()
