"""Part c: the loss alone, ResNet-18 at 32, and compute-sanitizer over the native kernels."""
import re

import gpu  # of bench/
from cases import listed, run_cases
from measuring import Measured
from places import find_tool

ROWS, SMALL_ROWS = (8192, 65536), (128, 256)
MILLION = 1 << 20
# Cases that use only our own kernels. Hundreds of cuDNN's and cuBLASLt's kernels would take minutes under a sanitizer.
NATIVE = ["supcon on cuda*", "cross_entropy on cuda*", "on a GPU*", "optimizer*", "move_average on cuda*", "resident views on a GPU*",
          "cuda agrees with reference in f32"]
NATIVE_PIECES = {"cuda agrees with reference in f32": [["--subcase-exclude=conv2d*,linear*,batch_norm*"]]}
FOUND = 87  # compute-sanitizer's exit code when it found something


def loss(step, flight, rows):
    repeats = 1 if flight.small else 5
    flags = gpu.loss_flags(rows, steps=1 if flight.small else None)
    work = Measured(step, flight, f"loss alone, {rows} x 128", rows)
    program = flight.places.benches / "bench_loss"
    work.contender("kindred", [program, *flags], repeats)
    flight.loss_ms[rows] = work.ours
    taken = step.run([program, *flags, "--memory"], check=True).text.strip().splitlines()[-1]
    step.row(f"{work.name}: {(float(taken) - rows * 512) / 1e6:.1f} MB beside inputs and gradient")
    reason = gpu.why_no_torch(flight.python)
    if reason:
        return flight.missing(step, "torch", f"{flight.python}: {reason}")
    script = flight.places.bench_scripts / "loss_torch.py"  # its N x N matrices may not fit: no failure of Kindred
    work.contender("torch eager", [flight.python, script, *flags], repeats, required=False)


def resnet18(step, flight):
    views, size = (8, 8) if flight.small else (2048, 32)
    model, precision = ("resnet20", "f32") if flight.small else ("resnet18", "bf16")
    flags = gpu.step_flags(model, size, views, precision, steps=1 if flight.small else 10)
    work = Measured(step, flight, f"{model} at {size}, {views} views, {precision}", views)
    repeats = 1 if flight.small else 5
    work.contender("kindred", [flight.places.benches / "bench_train_step", *flags], repeats)
    reason = gpu.why_no_torch(flight.python)
    if reason:
        return flight.missing(step, "torch", f"{flight.python}: {reason}")
    work.contender("torch eager", [flight.python, flight.places.bench_scripts / "train_step_torch.py", *flags], repeats)


def sanitizer(step, flight, tool):
    folders = ["/usr/local/cuda*/bin", "/usr/local/cuda*/compute-sanitizer", "/opt/nvidia/*/*/compute-sanitizer"]
    program = find_tool("compute-sanitizer", folders)
    if program is None:
        return flight.missing(step, "compute-sanitizer", "no compute-sanitizer on the PATH or in a CUDA toolkit")
    names = []
    for pattern in NATIVE:  # a pattern that matches nothing is a mistake in the list above, and red
        names += [name for name in listed(step, flight.places.tests, pattern)[0] if name not in names]
    if flight.small:
        names = names[::6]
    # Programs ask the GPU and its libraries what they can do. A negative answer is not an error.
    wrapper = [program, "--tool", tool, "--report-api-errors", "no", "--error-exitcode", FOUND]
    outcomes = run_cases(step, flight.places.tests, names, wrapper, flight.case_seconds, pieces=NATIVE_PIECES,
                         suspicious=lambda text: not re.search(r"ERROR SUMMARY: 0 errors|RACECHECK SUMMARY: 0 hazards", text))
    passed = sum(o.passed for o in outcomes)
    step.row(f"{passed} of {len(names)} cases of native kernels are clean", ok=passed == len(names))
    for outcome in outcomes:
        if not outcome.passed:
            step.row(f"{outcome.name}: {outcome.message}", ok=False)


def million(step, flight):
    rows, of = max(flight.loss_ms, default=0), MILLION
    if not flight.loss_ms.get(rows):
        raise RuntimeError("nothing to estimate a million rows from: the loss was not measured")
    estimate = flight.loss_ms[rows] * (of / rows) ** 2 / 1e3
    text = f"loss alone, {of} x 128: {estimate:.1f} s estimated from {rows} rows"
    if flight.small or 3 * estimate + 5 > step.left():
        return step.row(f"{text}; not measured, {step.left():.0f} s were left")
    step.row(text)
    Measured(step, flight, f"loss alone, {of} x 128", of).contender(
        "kindred", [flight.places.benches / "bench_loss", *gpu.loss_flags(of)], 1)


def steps(flight):
    flight.loss_ms = {}
    losses = [(f"loss {rows}", 22, lambda step, rows=rows: loss(step, flight, rows))
              for rows in (SMALL_ROWS if flight.small else ROWS)]
    sanitizers = [(tool, 45, lambda step, tool=tool: sanitizer(step, flight, tool)) for tool in ("memcheck", "racecheck")]
    return [*losses, ("ResNet-18", 66, lambda step: resnet18(step, flight)), *sanitizers,
            ("million rows", 1, lambda step: million(step, flight))]
