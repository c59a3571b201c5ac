#!/usr/bin/env python3
"""Lists what a layer or a loss still lacks, one line for each thing; docs/adding_a_layer.md explains them.

    scripts/check_layer.py gelu [NAME...]     exit code 0: nothing is missing
    scripts/check_layer.py --all              every layer, and every loss that has its own kernels
    scripts/check_layer.py --self-test        as --all; then GELU from the page, complete, and without one thing at a time
"""
import pathlib
import re
import shutil
import sys
import tempfile

from checking import ROOT, end

PAGE = "docs/adding_a_layer.md"
FILES = {"kernels.h": "the table of its kernels", "reference.cpp": "plain loops, the definition",
         "cpu.cpp": "the fast kernels", "cuda.cu": "the kernels of a GPU", "plan.cpp": "the cost on a GPU"}


def text_of(path):
    return path.read_text() if path.is_file() else ""


class Layer:
    """The files of one folder, and the places in the tree that must mention it."""

    def __init__(self, tree, name):
        self.tree, self.name = tree, name
        self.room = next((room for room in ("layers", "losses") if (tree / room / name).is_dir()), "layers")
        self.folder = tree / self.room / name
        self.path = f"{self.room}/{name}"
        self.cmake = text_of(tree / self.room / "CMakeLists.txt")
        self.source = text_of(self.folder / f"{name}.cpp")
        self.kernels = text_of(self.folder / "kernels.h")
        self.line = re.search(rf"kindred_folder\({self.room} {name} (\w+)([^)]*)\)", self.cmake)

    def has_no_kernels(self):
        """Whether the layer uses only kernels of other layers or of the engine: then it has one source and no table."""
        return not self.kernels and re.search(rf"\b{self.name}/{self.name}\.cpp\b", self.cmake) is not None

    def missing(self):
        """One line for each missing thing, in the order of the page."""
        if not self.folder.is_dir():
            return [f"the folder layers/{self.name} or losses/{self.name}"]
        lines = [f"{self.path}/{file}: {what}" for file, what in
                 ((f"{self.name}.h", "what a user calls"), (f"{self.name}.cpp", "checks, allocates, records"))
                 if not (self.folder / file).is_file()]
        if not self.has_no_kernels():
            lines += [f"{self.path}/{file}: {what}" for file, what in FILES.items() if not (self.folder / file).is_file()]
            lines += self.missing_of_build() + self.missing_tables() + self.missing_of_plan()
        return lines + self.missing_of_gradients()

    def missing_of_build(self):
        where = f"{self.room}/CMakeLists.txt"
        if self.line is None:
            return [f"{where}: kindred_folder({self.room} {self.name} <the struct of kernels.h>)"]
        table, more = self.line[1], self.line[2].split()
        lines = []
        if f"struct {table} " not in self.kernels:
            lines.append(f"{self.path}/kernels.h: struct {table}, which {where} names")
        for source in sorted(p.name for p in self.folder.glob("*.cpp")):
            if source in FILES or source == f"{self.name}.cpp" or source.endswith("_emulated.cpp"):
                continue
            if source not in more:
                lines.append(f"{where}: {source} behind {table}")
        for source in sorted(p.name for p in self.folder.glob("*.cu")):
            if source != "cuda.cu" and f"{self.path}/{source})" not in self.cmake \
                    and f"{self.path}/{source} " not in self.cmake:
                lines.append(f"{where}: kindred_cuda_source({self.path}/{source})")
        return lines

    def missing_tables(self):
        lines = []
        for device, file in (("reference", "reference.cpp"), ("cpu", "cpu.cpp"), ("plan", "plan.cpp"), ("cuda", "cuda.cu")):
            table = f"{self.name}_{device}"
            if self.kernels and not re.search(rf"\bextern const \w+[^;]*\b{table}\b", self.kernels):
                lines.append(f"{self.path}/kernels.h: extern {table}")
            there = text_of(self.folder / file)
            if there and not re.search(rf"\b{table} = ", there):
                lines.append(f"{self.path}/{file}: the table {table}")
            if self.source and not re.search(rf"\bselect_kernels\([^;]*\b{table}\b", self.source):
                lines.append(f"{self.path}/{self.name}.cpp: {table} in select_kernels()")
        return lines

    def missing_of_plan(self):
        plan = text_of(self.folder / "plan.cpp")
        return [f"{self.path}/plan.cpp: {what}" for word, what in
                (("WorkKind", "a WorkKind with the kernels' name"), ("record_work(", "record_work() for what they read and write"))
                if plan and word not in plan]

    def operations(self):
        return [name for list_ in re.findall(r"\bconst Operation ([^;]+);", self.source)
                for name in re.findall(r"\w+\(\"(\w+)\"\)", list_)]

    def missing_of_gradients(self):
        differentiable = self.has_no_kernels() or "backward" in self.kernels or "gradient" in self.kernels
        if self.source and not differentiable:
            return []  # such as image_input: pictures need no gradient
        lines = []
        if self.source and not self.operations():
            lines.append(f'{self.path}/{self.name}.cpp: const Operation {self.name}_operation("{self.name}");')
        if self.source and not re.search(r"->record\(", self.source):
            lines.append(f"{self.path}/{self.name}.cpp: tape->record(), with the backward step")
        cases = "".join(text_of(p) for p in sorted((self.tree / "tests/gradcheck").glob("*_cases.cpp")))
        for name in self.operations() or [self.name]:
            if not re.search(rf'\boperation = "{name}"', cases):
                lines.append(f'tests/gradcheck/{self.name}_cases.cpp: add_case() of operation "{name}"')
        return lines


def names_in(tree):
    layers = sorted(p.name for p in (tree / "layers").iterdir() if p.is_dir())
    losses = [name for name in sorted(p.name for p in (tree / "losses").iterdir() if p.is_dir())
              if (tree / "losses" / name / "kernels.h").is_file() and Layer(tree, name).operations()]
    return layers + losses


def report(tree, names):
    count = 0
    for name in names:
        lines = Layer(tree, name).missing()
        for line in lines:
            print(f"missing: {line}")
        if not lines:
            print(f"{Layer(tree, name).path}: nothing is missing")
        count += len(lines)
    return count


def follow_page(tree):
    """Follows the page in the folder `tree`: blocks of ```cpp new:PATH are new files, ```cmake add:PATH lines to
    add."""
    for kind, path, text in re.findall(r"^```\w+ (new|add):(\S+)\n(.*?)^```$", (ROOT / PAGE).read_text(), re.M | re.S):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        with open(tree / path, "w" if kind == "new" else "a") as file:
            file.write(text)


def scratch_tree(folder):
    tree = pathlib.Path(folder)
    for room in ("layers", "losses", "tests/gradcheck"):
        shutil.copytree(ROOT / room, tree / room)
    follow_page(tree)
    return tree


# A thing to remove from GELU (a file, or a text in a file), and a part of the one line that must then be printed.
PLANTED = [
    ("layers/gelu/gelu.h", None, "gelu.h: what a user calls"),
    ("layers/gelu/gelu.cpp", None, "gelu.cpp: checks, allocates"),
    ("layers/gelu/reference.cpp", None, "reference.cpp: plain loops"),
    ("layers/gelu/cpu.cpp", None, "cpu.cpp: the fast"),
    ("layers/gelu/cuda.cu", None, "cuda.cu: the kernels"),
    ("layers/gelu/plan.cpp", None, "plan.cpp: the cost"),
    ("layers/CMakeLists.txt", "kindred_folder(layers gelu GeluKernels)", "kindred_folder(layers gelu"),
    ("layers/gelu/kernels.h", "struct GeluKernels ", "struct GeluKernels"),
    ("layers/gelu/kernels.h", "extern const GeluKernels gelu_cpu;", "extern gelu_cpu"),
    ("layers/gelu/cuda.cu", "gelu_cuda = ", "the table gelu_cuda"),
    ("layers/gelu/gelu.cpp", ", gelu_plan", "gelu_plan in select_kernels()"),
    ("layers/gelu/gelu.cpp", "const Operation ", "const Operation gelu_operation"),
    ("layers/gelu/gelu.cpp", "tape->record(", "tape->record()"),
    ("layers/gelu/plan.cpp", "WorkKind", "a WorkKind"),
    ("layers/gelu/plan.cpp", "record_work(", "record_work()"),
    ("tests/gradcheck/gelu_cases.cpp", None, 'add_case() of operation "gelu"'),
]


def self_test():
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        tree = scratch_tree(folder)
        missing = report(ROOT, names_in(ROOT)) + report(tree, ["gelu"])
        if missing:
            wrong.append(f"{missing} things are missing")
        for path, text, expected in PLANTED:
            whole = (tree / path).read_text()
            if text is None:
                (tree / path).unlink()
            else:
                (tree / path).write_text(whole.replace(text, ""))
            lines = Layer(tree, "gelu").missing()
            if len(lines) != 1 or expected not in lines[0] or text is not None and text not in whole:
                wrong.append(f"without {text or path} in {path} the lines are {lines}")
            (tree / path).write_text(whole)
        for file, expected in (("more.cpp", "more.cpp behind GeluKernels"), ("more.cu", "kindred_cuda_source(layers/gelu/more.cu)")):
            (tree / "layers/gelu" / file).touch()
            lines = Layer(tree, "gelu").missing()
            if len(lines) != 1 or expected not in lines[0]:
                wrong.append(f"with a file {file} more the lines are {lines}")
            (tree / "layers/gelu" / file).unlink()
    end(wrong, f"layers: each is whole, and each of {len(PLANTED) + 2} things that were taken from GELU was missed")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.exit(__doc__)
    if arguments == ["--self-test"]:
        self_test()
    sys.exit(report(ROOT, names_in(ROOT) if arguments == ["--all"] else arguments) > 0)
