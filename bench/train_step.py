#!/usr/bin/env python3
"""The SupCon training step (forward, loss, backward, SGD) of Kindred and of PyTorch on the same processor.

    python3 bench/train_step.py [--build build/release] [--python /usr/bin/python3] [--repeats 7] [--only resnet20]

Prints one line a configuration: milliseconds of each (median and quartiles), views per second and the ratio.
"""
import argparse
import json
import os

from interleave import Contender, race, spread

CONFIGURATIONS = [  # model, image size, views, precision
    ("resnet20", 32, 512, "f32"),
    ("resnet18", 32, 128, "f32"),
    ("resnet18", 64, 128, "f32"),
    ("resnet50", 224, 32, "f32"),
    ("resnet50", 224, 32, "bf16"),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--python", action="append", help="a Python that has torch; may be given several times")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", default="")
    parser.add_argument("--json", help="also append a JSON line a configuration to this file")
    a = parser.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    env = dict(os.environ, OMP_NUM_THREADS=str(a.threads))
    for model, size, views, precision in CONFIGURATIONS:
        key = f"{model}@{size}x{views} {precision}"
        if a.only and a.only not in key:
            continue
        flags = ["--model", model, "--image-size", str(size), "--views", str(views), "--precision", precision]
        contenders = [Contender("kindred", [f"{a.build}/bench/bench_train_step", *flags], env)]
        for python in a.python or ["/usr/bin/python3"]:
            script = [python, f"{here}/train_step_torch.py", *flags, "--threads", str(a.threads)]
            contenders.append(Contender(f"torch ({python})", script, env))
        race(contenders, a.repeats)
        ours = spread(contenders[0].times)[0]
        row = {"work": key, "threads": a.threads}
        for c in contenders:
            median, low, high = spread(c.times)
            print(f"{key:26} {c.name:28} {median:9.1f} ms ({low:.1f} to {high:.1f})  {views / median * 1e3:8.1f} views/s"
                  f"  kindred is {median / ours:.2f}x")
            row[c.name] = {"ms": median, "ratio": median / ours}
        if a.json:
            with open(a.json, "a") as out:
                out.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
