#!/usr/bin/env python3
"""One table of a training step on an H200, from the build and without a GPU: what is launched, how often, the bytes that move,
instructions, registers, spills, and the predicted milliseconds.

    python3 bench/hopper/table.py                                  ResNet-50 at 224, 256 views, bf16
    python3 bench/hopper/table.py --step resnet18                  ResNet-18 at 32, 512 views
    python3 bench/hopper/table.py --step supcon-8192               SupCon alone: also supcon-65536, supcon-1048576
    python3 bench/hopper/table.py --json now.json                  keeps the figures
    python3 bench/hopper/table.py --against before.json            before and after, side by side

The launches come from the program: bench_launches runs the real code of a step on a GPU that is only described
(described_gpu.h). Instructions and bytes come from following threads of each launch through its machine code (thread.py), the
times from a model (model.py) in which nothing has been measured. Convolutions and products are cuDNN's and cuBLASLt's: their
times come from apps/training/gpu_rates/h200.json.
"""
import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import kernels as of_kernels
import model
import thread

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS = {
    "resnet50": ["--model", "resnet50", "--image-size", "224", "--views", "256", "--precision", "bf16", "--optimizer", "lars"],
    "resnet18": ["--model", "resnet18", "--image-size", "32", "--views", "512", "--precision", "bf16", "--optimizer", "sgd"],
    "supcon-8192": ["--supcon", "8192"],
    "supcon-65536": ["--supcon", "65536"],
    "supcon-1048576": ["--supcon", "1048576"],
}
VIEWS = {"resnet50": 256, "resnet18": 512}
# The kind of a kernel by its source and name; the first that fits. Others have the name of their folder.
KINDS = [
    (r"batch_norm/.*sums_kernel.*Moments", "norm: statistics"),
    (r"batch_norm/.*(sums_kernel|reduce)", "norm: reduce"),
    (r"batch_norm/.*apply", "norm: apply"),
    (r"batch_norm/.*backward", "norm: backward"),
    (r"batch_norm/", "norm: small kernels"),
    (r"accumulate\.cu", "additions"),
    (r"pooling/", "pooling"),
    (r"conv2d/.*repack_kernel<float", "conversions"),
    (r"(image_input|conv2d)/", "stem's input"),
    (r"elements\.cu", "conversions"),
    (r"optimizer/", "optimizer"),
    (r"losses/", "loss"),
    (r"(linear|l2_normalize|pointwise)/", "head"),
]
ORDER = ["convolutions forward", "their data gradients", "their filters' gradients", *dict.fromkeys(k for _, k in KINDS), "copies and fills"]
MOST_DIFFERENT, SAMPLE = 60, 12  # launches of one kernel that are all followed; of more, an even sample stands for all


def kind_of(source, name):
    for pattern, kind in KINDS:
        if re.search(pattern, f"{source} {name}"):
            return kind
    return source.split("/")[-2]


def words_of(text, tables):
    """Numbers; tensors as (bytes of the part, bytes of the block, contents or None)."""
    words = []
    for word in text.split():
        if found := re.match(r"@(\d+)/(\d+)(?:=(\d+))?$", word):
            table = tables.get(found.group(3)) if found.group(3) else None
            words.append((int(found.group(1)), int(found.group(2)), table))
        else:
            words.append(int(word))
    return words


def read_log(lines):
    """The events of the steady state: of the first recording, and the number of steps in it."""
    steps, tables, inside, events = 1, {}, False, []
    for line in lines:
        event, *fields = line.rstrip("\n").split("\t")
        if event == "mark" and fields[0].startswith("steps"):
            steps = int(fields[0].split()[1])
        elif event == "data":
            tables[fields[0]] = bytes.fromhex(fields[1])
        elif event == "record":
            inside = True
        elif event == "recorded":
            break
        elif inside:
            events.append((event, tuple(fields)))
    if not events:
        raise ValueError("the log has no recording")
    return steps, tables, events


def rows_of(events, tables, kernels, rates):
    """One dictionary for each event: kind, name, figures."""
    counted = collections.Counter(events)
    by_kernel = collections.defaultdict(list)
    rows, problems = [], set()
    for (event, fields), times in counted.items():
        if event == "launch":
            by_kernel[fields[0]].append((fields, times))
        elif event == "conv":
            which, type_name, _, *shape = fields
            figures = model.convolution(rates, int(which), type_name, list(map(int, shape)))
            n, h, w, c, k, kh, kw, stride, *_ = map(int, shape)
            rows.append({"kind": ORDER[int(which)], "name": f"{h}x{w}x{c} to {k}, {kh}x{kw}" + (f", stride {stride}" if stride > 1 else ""),
                         "source": "cuDNN", "times": times, **figures})
        elif event == "product":
            type_name, result, *sizes = fields
            rows.append({"kind": "head", "name": f"product {' x '.join(sizes)}", "source": "cuBLASLt", "times": times,
                         **model.product(rates, type_name, result, *map(int, sizes))})
        elif event in ("copy", "fill"):
            moved = int(fields[-1])
            rows.append({"kind": "copies and fills", "name": " ".join([event, *fields[:-1]]), "source": "CUDA", "times": times,
                         "bytes": moved, "memory": moved / model.BANDWIDTH, "issue": 0, "latency": 0,
                         "seconds": model.START + moved / model.BANDWIDTH})
    for mangled, launches in by_kernel.items():
        kernel = kernels.get(mangled)
        if kernel is None:
            problems.add(f"{mangled}: not in the build: make the log with the same build")
            continue
        name = of_kernels.short(mangled)
        sample = launches if len(launches) <= MOST_DIFFERENT else launches[::len(launches) // SAMPLE]
        scale = sum(times for _, times in launches) / sum(times for _, times in sample)
        for fields, times in sample:
            _, grid, threads, shared, words = fields
            row = {"kind": kind_of(kernel["source"], name), "name": name, "source": kernel["source"], "times": times * scale,
                   "registers": kernel["registers"], "stack": kernel["stack"], "static": len(kernel["code"])}
            try:
                row |= model.predict(kernel, list(map(int, grid.split())), int(threads), int(shared), words_of(words, tables),
                                     whole=kernel["source"].startswith("engine/"))
            except thread.Unknown as why:
                problems.add(f"{name}, grid {grid}: its machine code was not followed: {why}")
                continue
            rows.append(row)
    return rows, sorted(problems)


def summed(rows, by, steps):
    """Sums of a step over rows with the same value of `by`."""
    sums = {}
    for row in rows:
        at = sums.setdefault(tuple(row[b] for b in by), collections.Counter())
        for field in ("bytes", "instructions", "memory", "issue", "latency", "seconds", "operations", "spilled"):
            at[field] += row.get(field, 0) * row["times"] / steps
        at["launches"] += row["times"] / steps
        at["idle"] += row["seconds"] * max(0.0, 1 - row.get("blocks", 1e9) / model.MULTIPROCESSORS) * row["times"] / steps
        for field in ("registers", "stack"):
            at[field] = max(at[field], row.get(field, 0))
    return sums


def number(value, digits=2):
    return f"{value:,.{digits}f}" if value else ""


def times_text(value):
    return f"{value:,.0f}" if abs(value - round(value)) < 0.01 else f"{value:,.2f}"


def bound_of(sums):
    if sums["operations"] and not sums["instructions"]:
        return "memory" if sums["memory"] > sums["issue"] else "tensor cores"
    starts = sums["launches"] * model.START
    parts = {"memory": sums["memory"], "issue": sums["issue"], "latency": sums["latency"], "start": starts}
    return max(parts, key=parts.get)


def markdown(title, rows, steps, views):
    total = summed(rows, (), steps)[()]
    lines = [f"## {title}", "", "| kernel | launches | GB | G instructions | registers | stack, spills | memory | issue | latency | ms |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    kinds, by_kernel = summed(rows, ("kind",), steps), summed(rows, ("kind", "name"), steps)
    order = {kind: i for i, kind in enumerate(ORDER)}
    for (kind,), sums in sorted(kinds.items(), key=lambda k: order.get(k[0][0], 99)):
        lines.append(f"| **{kind}** | {times_text(sums['launches'])} | {number(sums['bytes'] / 1e9)} | {number(sums['instructions'] / 1e9)} | "
                     f"| | {number(sums['memory'] * 1e3)} | {number(sums['issue'] * 1e3)} | {number(sums['latency'] * 1e3)} | "
                     f"**{sums['seconds'] * 1e3:.2f}** |")
        if kind.startswith(("convolutions", "their")):
            continue
        inner = sorted(((n, s) for (k, n), s in by_kernel.items() if k == kind), key=lambda item: -item[1]["seconds"])
        for name, s in inner:
            spills = f"{s['stack']:.0f} B" if s["stack"] else ""
            spills += f", {s['spilled'] / s['launches']:.0f} a thread" if s["spilled"] >= 0.5 else ""
            lines.append(f"| {name} | {times_text(s['launches'])} | {number(s['bytes'] / 1e9)} | {number(s['instructions'] / 1e9)} | "
                         f"{number(s['registers'], 0)} | {spills} | {number(s['memory'] * 1e3)} | {number(s['issue'] * 1e3)} | "
                         f"{number(s['latency'] * 1e3)} | {s['seconds'] * 1e3:.3f} |")
    starts = total["launches"] * model.START
    lines.append(f"| **in all** | {times_text(total['launches'])} | {number(total['bytes'] / 1e9)} | {number(total['instructions'] / 1e9)} | | | | | "
                 f"| **{total['seconds'] * 1e3:.2f}** |")
    lines += ["", f"Of this, starts: {times_text(total['launches'])} x {model.START * 1e6:.1f} us = {starts * 1e3:.2f} ms. Multiprocessors without a "
              f"block, in launches of fewer than {model.MULTIPROCESSORS}: {total['idle'] * 1e3:.2f} ms."]
    if steps > 1:
        graph = 10e-6
        lines.append(f"A graph holds {steps} steps; starting it takes some {graph * 1e6:.0f} us, {graph / steps * 1e6:.1f} us a step "
                     f"(and {graph * 1e6:.0f} us with one step in a graph).")
        total["seconds"] += graph / steps
    if views:
        lines.append(f"{views / total['seconds']:,.0f} views/s.")
    return "\n".join(lines) + "\n"


def kept(rows, steps):
    """What --json keeps: sums by kind and kernel."""
    return [{"kind": kind, "name": name, **{f: s[f] for f in ("launches", "bytes", "instructions", "seconds", "registers", "stack")}}
            for (kind, name), s in summed(rows, ("kind", "name"), steps).items()]


def side_by_side(before, after):
    """Before and after by kind, and below it each kernel that changed."""
    def sums(rows, by):
        found = {}
        for row in rows:
            at = found.setdefault(tuple(row[b] for b in by), collections.Counter())
            for field in ("launches", "bytes", "instructions", "seconds"):
                at[field] += row[field]
            for field in ("registers", "stack"):
                at[field] = max(at[field], row[field])
        return found

    def line(name, a, b, bold=""):
        registers = f"{a['registers']:.0f} -> {b['registers']:.0f}" if not bold and (a["registers"] or b["registers"]) else ""
        stack = f"{a['stack']:.0f} -> {b['stack']:.0f}" if not bold and (a["stack"] or b["stack"]) else ""
        return (f"| {bold}{name}{bold} | {times_text(a['launches'])} -> {times_text(b['launches'])} | {a['bytes'] / 1e9:.2f} -> {b['bytes'] / 1e9:.2f} | "
                f"{a['instructions'] / 1e9:.2f} -> {b['instructions'] / 1e9:.2f} | {registers} | {stack} | {a['seconds'] * 1e3:.3f} -> {b['seconds'] * 1e3:.3f} | "
                f"{bold}{(b['seconds'] - a['seconds']) * 1e3:+.3f}{bold} |")

    lines = ["| kernel | launches | GB | G instructions | registers | stack | ms | change |", "|---|---|---|---|---|---|---|---|"]
    nothing = collections.Counter()
    kinds_a, kinds_b = sums(before, ("kind",)), sums(after, ("kind",))
    names_a, names_b = sums(before, ("kind", "name")), sums(after, ("kind", "name"))
    order = {kind: i for i, kind in enumerate(ORDER)}
    for kind in sorted({*kinds_a, *kinds_b}, key=lambda k: (order.get(k[0], 99), k)):
        lines.append(line(kind[0], kinds_a.get(kind, nothing), kinds_b.get(kind, nothing), "**"))
        for name in sorted({n for n in (*names_a, *names_b) if n[0] == kind[0]}):
            a, b = names_a.get(name, nothing), names_b.get(name, nothing)
            if any(abs(a[f] - b[f]) > 1e-6 * max(abs(a[f]), abs(b[f])) for f in ("launches", "bytes", "instructions", "seconds", "registers", "stack")):
                lines.append(line(name[1], a, b))
    lines.append(line("in all", sums(before, ()).get((), nothing), sums(after, ()).get((), nothing), "**"))
    return "\n".join(lines) + "\n"


def read_kept(path, program="table.py", flag="--against "):
    try:
        held = json.loads(pathlib.Path(path).read_text())
        return held["step"], held["rows"]
    except (OSError, ValueError, KeyError, TypeError) as why:
        sys.exit(f"{program}: error: {flag}{path}: not what table.py --json wrote ({why})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release")
    parser.add_argument("--program", type=pathlib.Path, help="bench_launches, if it is not in BUILD/bench")
    parser.add_argument("--step", choices=STEPS, default="resnet50")
    parser.add_argument("--log", type=pathlib.Path, help="a log that bench_launches wrote, instead of running it")
    parser.add_argument("--json", type=pathlib.Path, help="keeps the figures")
    parser.add_argument("--against", type=pathlib.Path, help="figures that --json kept earlier")
    arguments = parser.parse_args()
    if arguments.json and not arguments.json.resolve().parent.is_dir():
        parser.error(f"--json {arguments.json}: its folder does not exist")
    before = read_kept(arguments.against) if arguments.against else None
    if before and before[0] != arguments.step:
        sys.exit(f"table.py: error: --against {arguments.against} has the step {before[0]}, and this is {arguments.step}")
    kernels = of_kernels.of_build(arguments.build)
    rates = json.loads((ROOT / "apps" / "training" / "gpu_rates" / "h200.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        log = arguments.log
        if log is None:
            sizes, log = pathlib.Path(folder) / "sizes", pathlib.Path(folder) / "log"
            sizes.write_text(of_kernels.parameter_sizes(kernels))
            program = arguments.program or arguments.build / "bench" / "bench_launches"
            try:
                subprocess.run([program, *STEPS[arguments.step], "--log", log, "--parameters", sizes], check=True, stdout=sys.stderr)
            except (OSError, subprocess.CalledProcessError) as why:
                sys.exit(f"table.py: error: {program} did not run ({why}): build the target bench_launches")
        try:
            with open(log) as lines:
                steps, tables, events = read_log(lines)
        except (OSError, ValueError) as why:
            sys.exit(f"table.py: error: {log}: {why}")
    rows, problems = rows_of(events, tables, kernels, rates)
    if problems:
        # Sums without a kernel would pass for a gain.
        for problem in problems:
            print(f"table.py: {problem}", file=sys.stderr)
        sys.exit(f"table.py: error: {len(problems)} kernels were not followed, so there is no table: teach bench/hopper/integers.py or thread.py")
    held = kept(rows, steps)
    if arguments.json:
        arguments.json.write_text(json.dumps({"step": arguments.step, "rows": held}, indent=1) + "\n")
    if before:
        print(side_by_side(before[1], held))
    else:
        print(markdown(arguments.step, rows, steps, VIEWS.get(arguments.step)))


if __name__ == "__main__":
    main()
