"""Part b: the training step of ResNet-50 at 224 in bf16, compared with its prediction and with PyTorch; chosen plans;
kernels."""
import collections
import json
import os
import pathlib
import re

import gpu  # of bench/
from measuring import Measured
from steps import last_line

# model, image size, views, precision, steps a line, repeats
SIZE, SMALL = ("resnet50", 224, 256, "bf16", 10, 5), ("resnet20", 8, 8, "f32", 1, 1)
KERNEL_ROWS = 12


class Part:
    def __init__(self, flight):
        self.flight = flight
        self.model, self.size, self.views, self.precision, steps, self.repeats = SMALL if flight.small else SIZE
        self.flags = gpu.step_flags(self.model, self.size, self.views, self.precision, steps=steps)
        self.name = f"{self.model} at {self.size}, {self.views} views, {self.precision}"
        self.predicted, self.work = None, None
        self.kernels = flight.scratch / "kernels.txt"

    def predict(self, step):
        images = self.flight.places.images(step, self.flight.scratch, self.flight.small)
        result = step.run([self.flight.places.programs / "pretrain", images, "--out", self.flight.scratch / "never", "--model",
                           self.model, "--image-size", self.size, "-b", self.views // 2, "--precision", self.precision,
                           "--dry-run", "--gpu", "h200"], check=True)
        found = re.search(r"^predicted: ([\d.]+) ms a step.*", result.text, re.M)
        if not found:
            raise RuntimeError(f"pretrain --dry-run: no line of a prediction: {last_line(result.text)}")
        self.predicted = float(found.group(1))
        step.row(f"{self.name}: {found.group(0)}")

    def ours(self, step):
        self.work = Measured(step, self.flight, self.name, self.views)
        plans = self.flight.scratch / "plans.json"
        command = [self.flight.places.benches / "bench_train_step", *self.flags, "--plans", plans]
        self.work.contender("kindred", command, self.repeats)
        if self.work.ours and self.predicted:
            step.row(f"measured {self.work.ours:.2f} ms, predicted {self.predicted:.2f} ms: {self.work.ours / self.predicted:.2f}x")
        if plans.exists():
            self.flight.keep(plans, "b_plans.json")

    def plans(self, step):
        path = self.flight.scratch / "plans.json"
        if not path.exists():
            raise RuntimeError("no plans were written")
        plans = json.loads(path.read_text())["plans"]
        kinds = collections.defaultdict(collections.Counter)
        for key, plan in plans.items():  # "cuDNN 91900: forward bf16 256x...": "12 3=1", engine 12
            library, _, what = key.partition(": ")
            kind = re.match(r"(\D*?) (of |f32|bf16|f16|f64|\d)", f"{what} ")
            kinds[f"{library} {kind.group(1) if kind else what}"][plan.split(" ")[0]] += 1
        if not plans and not self.flight.small:
            raise RuntimeError("not one plan of cuDNN or cuBLASLt was chosen")
        step.row(f"{len(plans)} chosen, all of them in b_plans.json")
        for kind, engines in sorted(kinds.items()):
            shown = ", ".join(f"{engine} ({count})" for engine, count in engines.most_common(10))
            step.row(f"{kind}: {shown if kind.startswith('cuDNN') else sum(engines.values())}"
                     f"{' engines (shapes)' if kind.startswith('cuDNN') else ' shapes'}")

    def eager(self, step):
        self.peer(step, "torch eager", [])

    def peer(self, step, name, more, required=True):
        reason = gpu.why_no_torch(self.flight.python)
        if reason:
            return self.flight.missing(step, "torch", f"{self.flight.python}: {reason}")
        self.work.step = step
        self.work.say = step.row
        script = self.flight.places.bench_scripts / "train_step_torch.py"
        self.work.contender(name, [self.flight.python, script, *self.flags, *more], self.repeats, required=required)

    def products(self, step):
        """1x1 convolutions may be products of our own, each where it was timed faster than cuDNN's (docs/product.md)."""
        if step.left() < 20 and not self.flight.small:
            return step.row("KINDRED_PRODUCT=1: no time was left for it (optional)", ok=None)
        if self.work is None:
            raise RuntimeError("there is no step to compare with")
        self.work.step, self.work.say = step, step.row
        plans = self.flight.scratch / "product_plans.json"
        command = ["env", "KINDRED_PRODUCT=1", self.flight.places.benches / "bench_train_step", *self.flags, "--plans", plans]
        self.work.contender("with products", command, self.repeats, required=False)
        taken = [key for key, winner in json.loads(plans.read_text())["plans"].items() if winner == "product"] if plans.exists() else []
        step.row(f"{len(taken)} shapes of 1x1 convolutions were faster as products")

    def our_kernels(self, step):
        """Runs in a process of its own, because recording slows a step down a little."""
        found = cupti_folder(self.flight.python, step)
        library_path = ":".join(filter(None, [os.environ.get("LD_LIBRARY_PATH"), found]))
        command = [self.flight.places.benches / "bench_train_step", *self.flags, "--kernels", self.kernels]
        result = step.run(command, env={"LD_LIBRARY_PATH": library_path} if library_path else None, feed="go\n" * 3)
        if "has no CUPTI" in result.text or "CUPTI, which records kernels, is missing" in result.text:
            return self.flight.missing(step, "cupti", last_line(result.text))
        if result.killed or result.code != 0:
            raise RuntimeError("killed at its limit" if result.killed else f"exit code {result.code}: {last_line(result.text)}")
        lines = self.kernels.read_text().splitlines()
        step.row(lines[0].lstrip("# "))
        for line in lines[2:2 + KERNEL_ROWS]:
            microseconds, share, times, each, *_, kernel = line.split("\t")
            step.row(f"{float(microseconds):9.1f} us {share:>8} {float(times):6.1f}x {float(each):8.1f} us  {shortened(kernel)}")
        self.flight.keep(self.kernels, "b_kernels.txt")

    def their_kernels(self, step):
        reason = gpu.why_no_torch(self.flight.python)
        if reason:
            return self.flight.missing(step, "torch", f"{self.flight.python}: {reason}")
        theirs = self.flight.scratch / "torch_kernels.txt"
        step.run([self.flight.python, self.flight.places.bench_scripts / "train_step_torch.py", *self.flags, "--kernels", theirs],
                 feed="go\n" * 2, check=True)
        with open(self.kernels, "a") as out:
            out.write(f"\nPyTorch's\n{theirs.read_text()}")
        self.flight.keep(self.kernels, "b_kernels.txt")
        step.row("PyTorch's kernels stand in b_kernels.txt, below ours")

    def compiled(self, step):
        if step.left() < 25 and not self.flight.small:
            return step.row("torch compiled: no time was left for it (optional)", ok=None)
        self.peer(step, "torch compiled", ["--compile"], required=False)


def shortened(name):
    """A kernel's name without its template arguments and parameters."""
    while re.search(r"<[^<>]*>", name):
        name = re.sub(r"<[^<>]*>", "", name)
    return re.sub(r"^void ", "", re.sub(r"\(.*", "", name))[:70] or name[:70]


def cupti_folder(python, step):
    """The folder of libcupti: from PyTorch's wheels, or from a toolkit."""
    text = step.run([python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]).text
    folders = [pathlib.Path(last_line(text)) / "nvidia", pathlib.Path("/usr/local"), pathlib.Path("/usr/lib/x86_64-linux-gnu")]
    for folder in folders:
        for pattern in ("cu13/lib", "cuda_cupti/lib", "cuda*/lib64", "cuda*/extras/CUPTI/lib64", "."):
            for found in sorted(folder.glob(f"{pattern}/libcupti.so.1[23]"), reverse=True) if folder.is_dir() else []:
                return str(found.parent)
    return ""


def steps(flight):
    part = Part(flight)
    return [("prediction", 8, part.predict), ("ours", 120, part.ours), ("plans", 1, part.plans), ("eager", 45, part.eager),
            ("kernels", 26, part.our_kernels), ("their kernels", 20, part.their_kernels), ("products", 20, part.products), ("compiled", 16, part.compiled)]
