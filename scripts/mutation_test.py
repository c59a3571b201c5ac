#!/usr/bin/env python3
"""The test of the tests: plants an error in a kernel, one at a time, and expects the gradient suite to go red.

Each mutant is compiled with the flags of the build, linked with the build's other objects, and run. The sources are
not touched. A mutant that survives means that a check cannot fail, which is a defect of the suite.
"""
import argparse
import concurrent.futures
import hashlib
import json
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# The test cases that must notice.
GRADIENT_TESTS = "gradients agree*,cpu agrees*"
# (file, text as it stands, text with the planted error), and for kernels of the GPU, which run on the host here, the
# test cases that must notice: all of the ladder would take minutes.
MUTANTS = [
    ("layers/batch_norm/reference.cpp", "centered -= (d_bias", "centered += (d_bias"),
    ("layers/l2_normalize/reference.cpp", "[m * dim + d] - y.data<T>()[m * dim + d] * along",
     "[m * dim + d] + y.data<T>()[m * dim + d] * along"),
    ("losses/supcon/cpu_rows.cpp", "of_positive = all * push - pulled", "of_positive = all * push + pulled"),
    ("losses/pairs/cpu.cpp", "t>(j)] += value", "t>(j)] -= value"),
    ("losses/triplet/cpu.cpp", "-static_cast<float>(row.hits[n])", "static_cast<float>(row.hits[n])"),
    ("layers/conv2d/reference.cpp", "dx[in * s.c + c] += dy", "dx[in * s.c + c] -= dy"),
    ("layers/batch_norm/cpu.cpp", "offset[c] = slope[c]", "offset[c] = -slope[c]"),
    ("losses/supcon/cuda.cu", "(1 / formula.temperature), d_rows", "(-1 / formula.temperature), d_rows",
     "supcon on cuda: contrasts*"),
    ("layers/linear/cuda_plain.cu", "sum += partial[w][lane]", "sum -= partial[w][lane]", "linear layers on a GPU*"),
    ("third_party/library_search.cpp", "if (is_open && !shared) return true;", "", "library search*"),
    ("engine/optimizer/cuda.cu", "s[0].element[j], g.element[j] * unscale", "s[0].element[j], g.element[j]",
     "optimizer: scaled*"),
    # SupCon: sums that go on inside of tensor cores, and work that is shared out unevenly.
    ("losses/supcon/cuda_tiles.h", "Sums of_tile = {};",
     "Sums of_tile; memcpy(of_tile, sums, sizeof sums); memset(sums, 0, sizeof sums);", "supcon on cuda: 64 anchors*"),
    ("losses/supcon/cuda_tiles.h", "float product[2][4] = {};",
     "float product[2][4]; memcpy(product, c, sizeof product); memset(c, 0, sizeof product);", "supcon on cuda: long*"),
    ("losses/supcon/cuda.cu", "b = blocks.first + 1", "b = blocks.first + 2", "supcon on cuda: few blocks*"),
    ("losses/supcon/areas.h", "(block < one_more ? block : one_more)", "(block < one_more ? 0 : one_more)",
     "supcon's areas*"),
    ("losses/supcon/areas.cpp", "divide_up(rows, tile.rows) / blocks * blocks", "divide_up(rows, tile.rows)",
     "supcon's areas*"),
    ("engine/cuda/tensor_core.h", "sum < 0 ? -magnitude", "sum < 0 ? magnitude", "tensor core*"),
]
# Headers among them, and the source that is compiled with them.
INCLUDED_BY = {
    "losses/supcon/cuda_tiles.h": "losses/supcon/cuda_backward_labels.cu",
    "losses/supcon/areas.h": "tests/losses/supcon_areas_test.cpp",
    "engine/cuda/tensor_core.h": "tests/engine/tensor_core_test.cpp",
}


def compile_command(build, source):
    """The command that the build compiled `source` with, as a list, without its output and input."""
    compiled = build / "emulated" / (source + ".cpp") if source.endswith(".cu") else ROOT / source
    for entry in json.loads((build / "compile_commands.json").read_text()):
        if pathlib.Path(entry["file"]) == compiled:
            words = shlex.split(entry["command"])
            out = words.index("-o")
            return words[:out], pathlib.Path(entry["directory"]) / words[out + 1], entry["directory"]
    sys.exit(f"mutation test: {source} is not in {build}/compile_commands.json")


def objects_of(build):
    """Every object of the build."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        words = shlex.split(entry["command"])
        yield pathlib.Path(entry["directory"]) / words[words.index("-o") + 1]


def red_with(build, work, source, before, after, tests_to_run=GRADIENT_TESTS):
    """True when the suite fails with `before` replaced by `after` in `source`."""
    text = (ROOT / source).read_text()
    if text.count(before) != 1:
        sys.exit(f"mutation test: {source} has {text.count(before)} times {before!r}, expected once")
    # The copy is read in place of the original: includes are written as <kindred/...>, so nothing else changes.
    text = text.replace(before, after)
    name = f"{source.replace('/', '_')}.{hashlib.sha256(after.encode()).hexdigest()[:8]}"
    overlay = []
    if source in INCLUDED_BY:
        header = work / name / "kindred" / source
        header.parent.mkdir(parents=True, exist_ok=True)
        header.write_text(text)
        overlay = ["-I", work / name]
        source = INCLUDED_BY[source]
        text = (ROOT / source).read_text()
        name += "." + pathlib.Path(source).name
    elif not source.endswith(".cu"):
        name += ".cpp"
    if source.endswith(".cu"):
        name += ".cpp"
        text = "#define KINDRED_EMULATE\n" + text
    mutant = work / name
    mutant.write_text(text)
    words, original_object, directory = compile_command(build, source)
    mutant_object = work / (name + ".o")
    subprocess.run([words[0], *overlay, *words[1:], "-o", mutant_object, "-c", mutant], cwd=directory, check=True)
    # Linked as emulated_tests is.
    objects = [o for folder in ("CMakeFiles/kindred.dir", "CMakeFiles/kindred_emulated.dir",
                                "apps/CMakeFiles/kindred_apps.dir")
               for o in (build / folder).rglob("*.o") if o != original_object]
    tests = [o for o in (build / "tests/CMakeFiles/kindred_tests.dir").rglob("*.o") if o != original_object]
    program = work / (name + ".tests")
    subprocess.run([words[0], "-fopenmp", "-o", program, mutant_object, *objects,
                    "-lfmt", "-ldnnl", "-ljpeg", "-lz", "-lxxhash"], check=True)
    result = subprocess.run([program, f"--test-case={tests_to_run}"], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
    program.unlink()
    return result.returncode == 1  # doctest's code for failed checks; a crash would prove nothing


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--force", action="store_true", help="run even when nothing changed since the last pass")
    a = parser.parse_args()
    build = a.build.resolve()
    work = build / "mutation"
    work.mkdir(exist_ok=True)
    state = hashlib.sha256()
    for path in sorted([build / "tests/kindred_tests", pathlib.Path(__file__).resolve()]):
        state.update(path.read_bytes())
    stamp = work / "passed"
    if not a.force and stamp.exists() and stamp.read_text() == state.hexdigest():
        print("mutation test: nothing changed since it last passed")
        return
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        verdicts = list(pool.map(lambda m: red_with(build, work, *m), MUTANTS))
    for (source, before, after, *_), red in zip(MUTANTS, verdicts):
        print(f"mutation test: {source}: {before!r} -> {after!r}: {'noticed' if red else 'SURVIVED'}")
    if not all(verdicts):
        sys.exit("mutation test: a planted error was not noticed")
    stamp.write_text(state.hexdigest())


if __name__ == "__main__":
    main()
