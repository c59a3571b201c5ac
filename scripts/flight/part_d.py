"""Part d: CIFAR-10 with ResNet-18: both stages, and cross-entropy for comparison; accuracy and seconds."""
import json
import re
import time

# The paper's settings at a small scale: as many epochs as the step's seconds allow.
RUN = ["--model", "resnet18", "--image-size", 32, "-b", 512, "--lr", 0.2, "--augment", "cifar", "--knn-every", 0]
SMALL_RUN = ["--model", "resnet20", "--image-size", 8, "-b", 8, "--lr", 0.05, "--augment", "cifar", "--knn-every", 0,
             "--limit-per-class", 4, "--limit-eval-per-class", 2, "--steps-per-launch", 1]
MOST_EPOCHS = 60


class Part:
    def __init__(self, flight):
        self.flight, self.flags = flight, SMALL_RUN if flight.small else RUN
        self.limits = SMALL_RUN[-6:-2] if flight.small else []
        self.images = None

    def program(self, name):
        return self.flight.places.programs / name

    def data(self, step):
        self.images = self.flight.places.images(step, self.flight.scratch, self.flight.small)
        result = step.run([self.program("check_data"), self.images, *self.limits], cwd=self.flight.scratch, check=True)
        found = re.findall(r"(?:train|evaluation): \d+ files in \d+ classes", result.text)
        step.row(f"{self.images.name}: {', '.join(found) or 'unexpected answer of check_data'}",
                 ok=len(found) == 2)

    def train(self, step, loss, name):
        """Runs one epoch to measure its time, then as many as fit. Returns the run's folder."""
        if self.images is None:
            raise RuntimeError("there are no images")
        short, out = self.flight.scratch / f"{name}_1", self.flight.scratch / name
        command = [self.program("pretrain"), self.images, *self.flags, "--loss", loss, "--device", "cuda"]
        step.run([*command, "--epochs", 1, "--out", short], check=True)  # also makes the plans
        begun = time.monotonic()
        text = step.run([*command, "--epochs", 1, "--out", short, "--overwrite"], check=True).text
        once = time.monotonic() - begun
        views = metrics(short)[-1]["views_per_second"]
        batch = 2 * self.flags[self.flags.index("-b") + 1]
        epoch = int(re.search(r"(\d+) steps an epoch", text).group(1)) * batch / views
        beside = max(0.0, once - epoch) + 3  # to start, to read the images, to save
        epochs = 2 if self.flight.small else max(1, min(MOST_EPOCHS, int(0.85 * (step.left() - beside) / epoch)))
        begun = time.monotonic()
        result = step.run([*command, "--epochs", epochs, "--out", out])
        seconds = time.monotonic() - begun
        lines = metrics(out) if (out / "metrics.jsonl").exists() else []
        if result.killed or result.code != 0 or len(lines) != epochs:
            raise RuntimeError(f"{loss}: {len(lines)} of {epochs} epochs in {seconds:.0f} s: exit code {result.code}: "
                               f"{result.text.strip().splitlines()[-1:]}")
        losses = [line["loss"] for line in lines]
        step.row(f"{loss}: {epochs} epochs in {seconds:.1f} s, {views:.0f} views/s in the first, "
                 f"{lines[-1]['views_per_second']:.0f} in the last; loss {losses[0]:.3f} to {losses[-1]:.3f}",
                 ok=losses[-1] < losses[0] or self.flight.small)
        return out

    def contrast(self, step):
        self.train(step, "supcon", "contrast")

    def entropy(self, step):
        self.probe(step, self.train(step, "cross_entropy", "entropy"), "cross-entropy's encoder")

    def second_stage(self, step):
        if not (self.flight.scratch / "contrast/encoder.safetensors").exists():
            raise RuntimeError("stage one left no encoder")
        self.probe(step, self.flight.scratch / "contrast", "stage two on stage one's encoder")
        self.probe(step, None, "stage two on an untrained one")

    def probe(self, step, run, what):
        out = self.flight.scratch / f"probe_{run.name if run else 'untrained'}"
        model = self.flags[self.flags.index("--model") + 1]
        encoder = ["--encoder", run / "encoder.safetensors"] if run else \
            ["--untrained", model, "--image-size", self.flags[self.flags.index("--image-size") + 1]]
        begun = time.monotonic()
        step.run([self.program("linear_probe"), self.images, *encoder, "--out", out, *self.limits, "--device", "cuda"], check=True)
        result = json.loads((out / "result.json").read_text())
        step.row(f"{what}: top-1 {result['top1']:.4f}, top-5 {result['top5']:.4f} on {result['images']} images, "
                 f"{time.monotonic() - begun:.1f} s")


def metrics(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def steps(flight):
    part = Part(flight)
    return [("images", 8, part.data), ("stage one", 100, part.contrast), ("stage two", 36, part.second_stage),
            ("cross-entropy", 80, part.entropy)]
