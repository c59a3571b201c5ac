"""Runs the tests' GPU cases, each in a process of its own, so a crash, a hang or a broken context affects only one
case."""
import collections
import concurrent.futures
import os
import re
import time

SUITES = "needs a GPU,also on a GPU"
# Cases that need cuDNN's plans for many shapes run as several parallel pieces; all pieces must run.
PIECES = {f"cuda agrees with reference in {precision}": [["--subcase=conv2d*"], ["--subcase-exclude=conv2d*"]]
          for precision in ("f32", "bf16", "f16")}

Outcome = collections.namedtuple("Outcome", "name ran passed message seconds")


def exact(name):
    """A doctest filter for exactly this name; a comma would begin another filter."""
    return re.sub(r"[,*?\\\"]", "?", name)


def listed(step, program, pattern="*"):
    """Names of the GPU cases that match a doctest pattern, and the number that the program reports."""
    text = step.run([program, f"--test-suite={SUITES}", f"--test-case={pattern}", "--list-test-cases", "--no-version"],
                    seconds=60, env={"KINDRED_EXPECT_GPU": "0"}, check=True).text
    names = [line for line in text.splitlines() if line and not line.startswith(("[doctest]", "===", "GPU cases:"))]
    counted = re.search(r"^GPU cases: \d+ of (\d+) ran", text, re.M)
    if not counted or not names:
        raise RuntimeError(f"{program} lists no GPU cases")
    return names, int(counted.group(1))


def what_failed(text):
    """The first failed check in one line."""
    lines = text.splitlines()
    for i, line in enumerate(lines):
        if re.search(r"(ERROR|FATAL ERROR|FAILED):|: error:|ERROR SUMMARY: [1-9]", line):
            place, message = line.partition(": ")[0], line.partition("ERROR: ")[2] or line
            values = [after.strip() for after in lines[i + 1:i + 4]]
            shown = [place.split("/")[-1] if "ERROR: " in line else "", message,
                     *(value for value in values if value and not value.startswith(("[doctest]", "===")))]
            return " ".join(part for part in shown if part)[:220]
    meaningful = [line.strip() for line in lines if line.strip() and not set(line.strip()) <= set("=-")]
    return meaningful[-1][:200] if meaningful else "it said nothing"


def run_piece(step, command, environment, name, limit, suspicious):
    begun = time.monotonic()
    result = step.run(command, seconds=limit, env=environment)
    seconds = time.monotonic() - begun
    counted = re.search(r"^GPU cases: (\d+) of \d+ ran", result.text, re.M)
    asserted = re.search(r"assertions:\s*(\d+)", result.text)
    ran = bool(counted) and counted.group(1) == "1" and not re.search(r"^skipped: ", result.text, re.M)
    if result.killed:
        return Outcome(name, ran, False, f"killed after {seconds:.0f} s", seconds)
    if result.code < 0:
        return Outcome(name, True, False, f"ended by signal {-result.code}: {what_failed(result.text)}", seconds)
    if result.code != 0 or suspicious(result.text):
        message = what_failed(result.text)
        return Outcome(name, ran, False, message if "CHECK" in message else f"exit code {result.code}: {message}", seconds)
    if not ran:
        why = re.search(r"^skipped: .*|^GPU cases: .*", result.text, re.M)
        return Outcome(name, False, False, f"did not run: {why.group(0) if why else 'nothing was said'}", seconds)
    if not asserted or asserted.group(1) == "0":
        return Outcome(name, False, False, "did not check anything", seconds)
    return Outcome(name, True, True, "", seconds)


def run_cases(step, program, names, wrapper=(), most_seconds=60, workers=None, pieces=PIECES, suspicious=lambda text: False):
    """Outcomes of all `names`, in that order. A case that has not begun when the step's time is up counts as not
    run."""
    workers = workers or max(2, min(8, (os.cpu_count() or 2) // 2))
    jobs = [(name, piece) for name in names for piece in pieces.get(name, [[]])]
    jobs.sort(key=lambda job: job[0] not in pieces)  # long cases first
    # The plans of these many small shapes are not kept.
    environment = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 2) // workers)),
                   "XDG_CACHE_HOME": str(step.flight.scratch / "cache_of_tests")}

    def one(job):
        name, piece = job
        if step.left() < 0.5:
            return Outcome(name, False, False, "did not run: the step's time was used up", 0.0)
        command = [*wrapper, program, f"--test-case={exact(name)}", *piece]
        return run_piece(step, command, environment, name, most_seconds, suspicious)

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        done = list(pool.map(one, jobs))
    outcomes = []
    for name in names:
        of_case = [outcome for outcome in done if outcome.name == name]
        bad = [outcome for outcome in of_case if not outcome.passed]
        worst = min(bad, key=lambda outcome: outcome.ran) if bad else of_case[0]
        outcomes.append(worst._replace(ran=all(o.ran for o in of_case), seconds=sum(o.seconds for o in of_case)))
    return outcomes
