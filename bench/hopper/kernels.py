"""What the build says of each kernel: machine code for sm_90, registers, shared memory, stack, and where its parameters lie."""
import os
import pathlib
import re
import shutil
import site
import subprocess
import sys

import thread

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))
import from_pip  # noqa: E402


def tool(name):
    """cuobjdump or nvdisasm: from the toolkit, or from NVIDIA's package, which pip installs."""
    places = [pathlib.Path(p) / "bin" for p in (os.environ.get("CUDA_HOME"), "/usr/local/cuda") if p]
    places += [p for s in site.getsitepackages() for p in pathlib.Path(s).glob("nvidia/*/bin")]
    for attempt in range(2):
        path = os.pathsep.join(map(str, [os.environ.get("PATH", ""), *places, *from_pip.TOOLS.glob("**/nvidia/*/bin")]))
        found = os.environ.get(f"KINDRED_{name.upper()}") or shutil.which(name, path=path)
        if found:
            return found
        if not attempt:
            # A folder for each: pip does not add to a folder `nvidia` that is there.
            from_pip.bring(f"nvidia-cuda-{name}", into=from_pip.TOOLS / name)
    sys.exit(f"table.py: error: {name} is missing: pip install nvidia-cuda-{name}, or name it in KINDRED_{name.upper()}")


def plain(name):
    """A mangled name that does not depend on the file's hash, so that two builds can be compared."""
    return re.sub(r"\d+_GLOBAL__N__[0-9a-f]+_\d+_(\w+?)_cu_[0-9a-f]{8}", r"12_GLOBAL__N_1", name)


def short(name):
    """sums_kernel<8, ParameterGradients<BFloat16, 8>>, from the mangled name."""
    try:
        text = subprocess.run(["c++filt"], input=plain(name), capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        sys.exit("table.py: error: c++filt is missing: install binutils")
    text = text.replace("(anonymous namespace)::", "").replace("kindred::", "")
    text = text[:matching(text)]
    text = re.sub(r"^void ", "", text)
    return re.sub(r"\b(supcon_tiles|cuda)::", "", re.sub(r"\((?:int|bool|kindred::\w+|\w+)\)", "", text))


def matching(text):
    """Where the parameters begin: the first parenthesis outside of <...> that no cast is."""
    depth = 0
    for i, c in enumerate(text):
        depth += (c == "<") - (c == ">")
        if c == "(" and depth == 0:
            return i
    return len(text)


def of_elf(text):
    """{kernel: {ordinal: (offset, bytes)}} of the text of cuobjdump -elf."""
    found, name = {}, None
    for line in text.splitlines():
        if match := re.match(r"\.nv\.info\.(\S+)$", line):
            name = match.group(1)
            found[name] = {}
        elif name and (match := re.search(r"Ordinal : (0x\w+)\s+Offset\s+: (0x\w+)\s+Size\s+: (0x\w+)", line)):
            ordinal, offset, size = (int(g, 16) for g in match.groups())
            found[name][ordinal] = (offset, size)
    return found


def of_usage(text):
    """{kernel: {registers, stack, shared}} of the text of cuobjdump -res-usage."""
    found, name = {}, None
    for line in text.splitlines():
        if match := re.match(r"\s*Function (\S+):", line):
            name = match.group(1)
        elif name and (match := re.search(r"REG:(\d+) STACK:(\d+) SHARED:(\d+)", line)):
            found[name] = dict(zip(("registers", "stack", "shared"), map(int, match.groups())))
    return found


def of_build(build):
    """{mangled name: what is known} of all objects of the library."""
    root = build / "CMakeFiles" / "kindred_gpu.dir"
    objects = sorted(root.rglob("*.cu.o"))
    if not objects:
        sys.exit(f"table.py: error: {root} has no objects of .cu files: build the preset `release` with CUDA first")
    cuobjdump = tool("cuobjdump")
    # cuobjdump looks for nvdisasm in PATH.
    environment = {**os.environ, "PATH": os.path.dirname(tool("nvdisasm")) + os.pathsep + os.environ.get("PATH", "")}

    def run(flag, path):
        done = subprocess.run([cuobjdump, "-arch", "sm_90", flag, path] if flag == "-sass" else [cuobjdump, flag, path],
                              capture_output=True, text=True, env=environment)
        if done.returncode:
            sys.exit(f"table.py: error: {cuobjdump} {flag} {path}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    kernels = {}
    for path in objects:
        where = str(path.relative_to(root))[:-len(".o")]
        usage, parameters = of_usage(run("-res-usage", path)), of_elf(run("-elf", path))
        for name, code in thread.parse(run("-sass", path)).items():
            if name not in usage or name not in parameters:
                continue
            kernels[name] = {"source": where, "code": code, "parameters": parameters[name], **usage[name]}
    return kernels


def parameter_sizes(kernels):
    """The text that bench_launches reads."""
    lines = []
    for name, kernel in kernels.items():
        lines.append(" ".join([name, *(str(kernel["parameters"][o][1]) for o in sorted(kernel["parameters"]))]))
    return "\n".join(lines) + "\n"
