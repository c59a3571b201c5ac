"""Part a: the machine, the libraries that were opened and their places, and all GPU cases of the tests, counted."""
import platform
import re

from cases import listed, run_cases
from steps import last_line

QUERY = "name,driver_version,memory.total,memory.used,clocks.sm,clocks.max.sm,clocks.mem,power.limit,temperature.gpu"
PYTHON = """
import sys, platform
print("python", platform.python_version(), sys.executable)
import torch
print("torch", torch.__version__, "CUDA", torch.version.cuda, "cuDNN", torch.backends.cudnn.version(),
      "sees a GPU" if torch.cuda.is_available() else "sees no GPU")
import torchvision
print("torchvision", torchvision.__version__)
"""


def machine(step):
    answer = step.run(["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader"], check=True).text
    for gpu in answer.strip().splitlines():
        values = [value.strip() for value in gpu.split(",")]
        if len(values) != len(QUERY.split(",")):
            raise RuntimeError(f"nvidia-smi: unexpected answer: {gpu}")
        name, driver, memory, used, clock, most, memory_clock, power, celsius = values
        step.row(f"{name}, driver {driver}, {memory}, {used} used, SM {clock} of {most}, memory {memory_clock}, {power}, {celsius} C")
    step.run(["nvidia-smi", "-q"])
    cores = step.run(["nproc"]).text.strip()
    memory = re.search(r"MemTotal:\s*(\d+)", open("/proc/meminfo").read())
    step.row(f"{cores} cores, {int(memory.group(1)) >> 20} GiB, {' '.join(platform.libc_ver())}, Linux {platform.release()}")


def libraries(step, flight):
    text = step.run([flight.places.programs / "pretrain", "--version"], check=True).text
    for line in text.strip().splitlines()[:6]:
        step.row(line)
    for name in ("cuDNN", "cuBLASLt", "NCCL"):  # "cuDNN 9.19.0 in /opt/..."
        if not flight.small and not re.search(rf"{name} [\d.]+ in /", text):
            step.row(f"pretrain --version does not say where {name} was found", ok=False)


def python(step, flight):
    result = step.run([flight.python, "-c", PYTHON])
    said = "; ".join(line for line in result.text.splitlines() if line.startswith(("python", "torch")))
    if result.killed or result.code != 0:
        flight.missing(step, "torch", f"{said or flight.python}: {last_line(result.text)}")
    else:
        step.row(said)


def gpu_cases(step, flight):
    names, exist = listed(step, flight.places.tests, flight.cases)
    outcomes = run_cases(step, flight.places.tests, names, most_seconds=flight.case_seconds)
    for outcome in outcomes:
        step.log.write(f"{'passed' if outcome.passed else 'FAILED'} {outcome.seconds:6.1f} s  {outcome.name}\n")
    ran, passed = sum(o.ran for o in outcomes), sum(o.passed for o in outcomes)
    expected = exist if flight.cases == "*" else len(names)
    flight.last = f"GPU cases: {ran} of {expected} ran"
    step.row(f"{ran} of {expected} ran, {passed} passed; the longest took {max(o.seconds for o in outcomes):.0f} s",
             ok=passed == expected)
    for outcome in outcomes:
        if not outcome.passed:
            step.row(f"{outcome.name}: {outcome.message}", ok=False)


def steps(flight):
    return [("machine", 6, machine), ("libraries", 6, lambda step: libraries(step, flight)),
            ("python", 20, lambda step: python(step, flight)), ("GPU cases", 144, lambda step: gpu_cases(step, flight))]
