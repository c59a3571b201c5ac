#!/usr/bin/env python3
"""SupCon's loss alone, forward and backward: Kindred's tiles and PyTorch's masked form on the same processor.

    python3 bench/loss.py [--build build/release] [--python /usr/bin/python3] [--repeats 5] [--rows 2048 8192]
                          [--alone 16384 65536] [--dim 128] [--plot loss.png]
    python3 bench/loss.py --growth 13 20 --device cuda [--plot growth.png]

Prints a line for each number of rows: milliseconds of each (medians of interleaved repeats), the ratio, GFLOP/s of
the products that the formula needs (6 N^2 D), and by how much each process grows for one pass. The sizes of --alone are
measured for Kindred only: PyTorch would need tens of gigabytes. --plot draws time and memory over N.

--growth 13 20 measures Kindred alone at 2^13, 2^14, ... 2^20 rows, forward and backward, and prints a table for
docs/performance.md: milliseconds, how many times as long as half the rows took (4 if the time grows as N^2), TFLOP/s, and
memory beyond the inputs: all of it, what remains without the gradient, and the same for each row. On a GPU that is the pool's
own count. On a CPU it is the growth of the process, which is coarse, and 2^17 rows take a minute: --growth 9 13 is a
rehearsal.
"""
import argparse
import os
import subprocess

from interleave import Contender, race, spread


def memory_of(command, env):
    return float(subprocess.run([*command, "--memory"], env=env, check=True, capture_output=True, text=True).stdout)


def measure(rows, a, env, with_torch):
    here = os.path.dirname(os.path.abspath(__file__))
    flags = ["--rows", str(rows), "--dim", str(a.dim)]
    commands = {"kindred": [f"{a.build}/bench/bench_loss", *flags]}
    if with_torch:
        commands["torch"] = [a.python, f"{here}/loss_torch.py", *flags, "--threads", str(a.threads)]
    contenders = [Contender(name, command, env) for name, command in commands.items()]
    race(contenders, a.repeats if with_torch else 1, warmup=1 if with_torch else 0)
    result = {c.name: (spread(c.times)[0], memory_of(commands[c.name], env)) for c in contenders}
    line = f"{rows:7} x {a.dim}"
    for name, (milliseconds, grown) in result.items():
        gflops = 6 * rows * rows * a.dim / milliseconds / 1e6
        line += f"   {name} {milliseconds:9.1f} ms {gflops:7.1f} GFLOP/s {grown / 1e6:8.1f} MB"
    if with_torch:
        line += f"   kindred is {result['torch'][0] / result['kindred'][0]:.1f}x"
    print(line, flush=True)
    return result["kindred"]


def growth(first, last, a, env):
    """Prints the table; returns rows -> (milliseconds, bytes beyond the inputs)."""
    points = {}
    print(f"SupCon, forward and backward, D = {a.dim}, f32, {a.device}\n")
    print("| rows | ms | times half the rows | TFLOP/s | MB beyond the inputs | without the gradient | bytes a row |")
    print("|---|---|---|---|---|---|---|")
    for rows in (2**e for e in range(first, last + 1)):
        # As many passes for a line as take a good tenth of a second, so that neither clock nor launches count for much.
        steps = max(1, 2**33 // (rows * rows)) if a.device == "cuda" else 1
        command = [f"{a.build}/bench/bench_loss", "--rows", str(rows), "--dim", str(a.dim), "--device", a.device]
        one = Contender("kindred", [*command, "--steps", str(steps)], env)
        race([one], a.repeats, warmup=1)
        milliseconds, grown = spread(one.times)[0], memory_of(command, env)
        before = points.get(rows // 2)
        rest = max(0, grown - 4 * rows * a.dim)  # a process may have had room for part of the gradient
        print(f"| {rows:,} | {milliseconds:.4g} | {f'{milliseconds / before[0]:.2f}' if before else ''} "
              f"| {6 * rows * rows * a.dim / milliseconds / 1e9:.3g} | {grown / 1e6:.1f} | {rest / 1e6:.1f} "
              f"| {rest / rows:.0f} |", flush=True)
        points[rows] = milliseconds, grown
    return points


def plot(path, points):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = sorted(points)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5))
    left.loglog(rows, [points[n][0] for n in rows], "o-", label="measured")
    left.loglog(rows, [points[rows[-1]][0] * (n / rows[-1]) ** 2 for n in rows], ":", label="N^2")
    left.set(xlabel="rows N", ylabel="milliseconds", title="forward and backward")
    left.legend()
    right.loglog(rows, [points[n][1] / 1e6 for n in rows], "o-")
    right.set(xlabel="rows N", ylabel="MB", title="memory beyond the inputs, gradient included")
    figure.tight_layout()
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--python", default="/usr/bin/python3", help="one that has torch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--rows", type=int, nargs="*", default=[2048, 8192])
    parser.add_argument("--alone", type=int, nargs="*", default=[16384, 65536])
    parser.add_argument("--growth", type=int, nargs=2, metavar=("FIRST", "LAST"), help="2^FIRST to 2^LAST rows, Kindred alone")
    parser.add_argument("--device", default="cpu", help="of --growth")
    parser.add_argument("--plot")
    a = parser.parse_args()
    env = dict(os.environ, OMP_NUM_THREADS=str(a.threads))
    if a.growth:
        first, last = a.growth
        if not 1 <= first <= last <= 22:
            parser.error(f"--growth {first} {last}: expected 1 <= FIRST <= LAST <= 22, powers of two")
        points = growth(first, last, a, env)
    else:
        if a.device != "cpu":
            parser.error(f"--device {a.device} needs --growth; for the comparison with PyTorch on a GPU use bench/gpu.py")
        points = {n: measure(n, a, env, True) for n in a.rows}
        points.update({n: measure(n, a, env, False) for n in a.alone})
    if a.plot:
        plot(a.plot, points)


if __name__ == "__main__":
    main()
