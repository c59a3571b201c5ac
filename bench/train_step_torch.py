#!/usr/bin/env python3
"""PyTorch's side of bench/train_step.py and bench/gpu.py: the same SupCon training step, channels_last.

With --kernels FILE the steps of one more line run under PyTorch's profiler at the end, and FILE gets their kernels.
"""
import argparse
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision


class Basic(nn.Module):
    """A basic block of the CIFAR family with a projection shortcut."""

    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout)
        self.conv2, self.bn2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False), nn.BatchNorm2d(cout)
        self.short = nn.Identity() if cin == cout and stride == 1 else nn.Sequential(
            nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.short(x))


def encoder(name, size):
    if name == "resnet20":
        blocks, cin = [], 16
        for stage, width in enumerate((16, 32, 64)):
            for i in range(3):
                blocks.append(Basic(cin, width, 2 if stage and not i else 1))
                cin = width
        stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
        return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten()), 64
    net = getattr(torchvision.models, name)()
    dim, net.fc = net.fc.in_features, nn.Identity()
    if size <= 32:
        net.conv1, net.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    return net, dim


def supcon(z, labels, temperature=0.1):
    z = F.normalize(z.float())
    logits = z @ z.T / temperature
    me = torch.eye(len(z), dtype=torch.bool, device=z.device)
    positives = (labels[:, None] == labels[None]) & ~me
    log_prob = logits - torch.logsumexp(logits.masked_fill(me, float("-inf")), 1, keepdim=True)
    return -(torch.where(positives, log_prob, torch.zeros((), device=z.device)).sum(1) / positives.sum(1).clamp(min=1)).mean()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="resnet20")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--views", type=int, default=512)
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--steps", type=int, default=1, help="for each line, in a row")
    parser.add_argument("--kernels", metavar="FILE")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = a.precision == "tf32"
    net, dim = encoder(a.model, a.image_size)
    net = nn.Sequential(net, nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 128))
    net = net.to(a.device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9, weight_decay=1e-4,
                                **({"fused": True} if a.device == "cuda" else {}))
    x = torch.randn(a.views, 3, a.image_size, a.image_size, device=a.device).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (a.views // 2,), device=a.device).repeat(2)
    low = {"bf16": torch.bfloat16, "f16": torch.float16}.get(a.precision)
    scaler = torch.amp.GradScaler(a.device) if a.precision == "f16" else None

    def loss_of(pictures):
        with torch.autocast(a.device, low, enabled=low is not None):
            z = net(pictures)
        return supcon(z, labels)

    if a.compile:
        loss_of = torch.compile(loss_of)

    def steps():
        for _ in range(a.steps):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(x)
            if scaler is None:
                loss.backward()
                optimizer.step()
            else:
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
        if a.device == "cuda":
            torch.cuda.synchronize()

    for _ in sys.stdin:
        start = time.perf_counter()
        steps()
        print((time.perf_counter() - start) * 1e3 / a.steps, flush=True)
    if a.kernels:
        with torch.profiler.profile() as profiler:
            steps()
        by_time = "self_cuda_time_total" if a.device == "cuda" else "self_cpu_time_total"
        with open(a.kernels, "w") as out:
            out.write(f"# {a.steps} steps\n{profiler.key_averages().table(sort_by=by_time, row_limit=60)}\n")


if __name__ == "__main__":
    main()
