#!/usr/bin/env python3
"""Checks that a GPU can start the launches of the emulated tests: registers, __launch_bounds__ and shared memory of
each kernel.

emulated_tests lists its launches in the file that KINDRED_EMULATION_LAUNCHES names. The needs of a kernel are in nvcc's
machine code, so without nvcc or cuobjdump nothing is checked, and a message says so. The kernels of kindred::planted
cannot be started, and must be found.
"""
import argparse
import os
import pathlib
import re
import shutil
import site
import subprocess
import sys

import from_pip

ROOT = pathlib.Path(__file__).resolve().parent.parent

REGISTERS = 65536  # of a multiprocessor, of every architecture since Kepler; each warp takes a multiple of 256 of them,
WARPS_TOGETHER = 4  # and warps take them four at a time
# Bytes of a block at most; what cuobjdump says includes 1 KB on sm_90.
SHARED = {"sm_80": 163 << 10, "sm_90": 227 << 10, "sm_90a": 227 << 10}


def find_cuobjdump():
    """cuobjdump from CUDA's toolkit, or from NVIDIA's package, which pip installs; or None."""
    places = [pathlib.Path(p) for p in (os.environ.get("CUDA_HOME"), "/usr/local/cuda") if p]
    places = [p / "bin" for p in places]
    places += [p for s in site.getsitepackages() for p in pathlib.Path(s).glob("nvidia/*/bin")]
    for attempt in range(2):
        all_places = [*places, *from_pip.TOOLS.glob("nvidia/*/bin")]
        path = os.environ.get("PATH", "") + os.pathsep + os.pathsep.join(map(str, all_places))
        found = os.environ.get("KINDRED_CUOBJDUMP") or shutil.which("cuobjdump", path=path)
        if found or attempt:
            return found
        from_pip.bring("nvidia-cuda-cuobjdump")


def same_in_both(name):
    """A mangled name with g++'s name for the anonymous namespace; nvcc's depends on the file."""
    found = re.search(r"(\d+)(_GLOBAL__N__)", name)
    if not found:
        return name
    end = found.start(2) + int(found.group(1))
    return name[:found.start()] + "12_GLOBAL__N_1" + same_in_both(name[end:])


def machine_code(cuobjdump, objects):
    """(name, architecture) -> the largest {registers, shared, bounds} of all objects."""
    code = {}
    for path in objects:
        usage = subprocess.run([cuobjdump, "--dump-resource-usage", path], capture_output=True, text=True).stdout
        arch = name = None
        for line in usage.splitlines():
            if found := re.match(r"arch = (\S+)", line):
                arch = found.group(1)
            elif found := re.match(r" Function (\S+):", line):
                name = same_in_both(found.group(1))
            elif found := re.match(r"  REG:(\d+) .*SHARED:(\d+)", line):
                entry = code.setdefault((name, arch), {"registers": 0, "shared": 0, "bounds": 1024})
                entry["registers"] = max(entry["registers"], int(found.group(1)))
                entry["shared"] = max(entry["shared"], int(found.group(2)))
        header = subprocess.run([cuobjdump, "--dump-elf", path], capture_output=True, text=True).stdout
        arch = name = None
        bounds_follow = False
        for line in header.splitlines():
            if found := re.match(r"arch = (\S+)", line):
                arch = found.group(1)
            elif found := re.match(r"\.nv\.info\.(\S+)$", line):
                name = same_in_both(found.group(1))
            elif "EIATTR_MAX_THREADS" in line:
                bounds_follow = True
            elif bounds_follow and (found := re.search(r"Value:\s+0x([0-9a-f]+)", line)):
                bounds_follow = False
                if (name, arch) in code:
                    code[name, arch]["bounds"] = min(code[name, arch]["bounds"], int(found.group(1), 16))
    return code


def registers_of_block(registers, threads):
    warps = -(-threads // 32)
    warps = -(-warps // WARPS_TOGETHER) * WARPS_TOGETHER
    return -(-registers * 32 // 256) * 256 * warps


def why_not(needs, arch, threads, dynamic):
    """Why a GPU would refuse a launch, or None."""
    if threads > needs["bounds"]:
        return f"its __launch_bounds__ allow {needs['bounds']}"
    taken = registers_of_block(needs["registers"], threads)
    if taken > REGISTERS:
        return f"with {needs['registers']} registers a thread they take {taken}, and a multiprocessor has {REGISTERS}"
    reserved = 1024 if arch >= "sm_90" else 0
    shared = needs["shared"] - reserved + dynamic
    if arch in SHARED and shared > SHARED[arch]:
        return f"a block takes {shared} bytes of shared memory, and may have {SHARED[arch]}"
    return None


def program_here(program, build):
    """The rehearsal of the flight runs copies in a folder that is gone by now."""
    path = pathlib.Path(program)
    if path.exists():
        return path
    return build / "tests/emulated_tests" if path.name == "kindred_tests" else \
        build / ("bench" if path.name.startswith("bench_") else "apps") / "emulated" / path.name


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("launches", type=pathlib.Path, help="what KINDRED_EMULATION_LAUNCHES named")
    a = parser.parse_args()
    objects = [o for folder in (a.build / "CMakeFiles/kindred_gpu.dir", a.build / "tests/CMakeFiles/planted_gpu.dir")
               for o in folder.rglob("*.cu.o")]
    cuobjdump = find_cuobjdump() if objects else None
    if not objects or not cuobjdump:
        print("skipped: launches against machine code:", "built without nvcc" if not objects else
              "no cuobjdump (PATH, CUDA_HOME, KINDRED_CUOBJDUMP, or pip's nvidia-cuda-cuobjdump)")
        return
    launches = sorted(set(a.launches.read_text().splitlines()))
    names = {}  # (program, address) -> mangled name
    for program in {line.split(None, 3)[3] for line in launches}:
        symbols = subprocess.run(["nm", program_here(program, a.build)], capture_output=True, text=True).stdout
        for line in symbols.splitlines():
            words = line.split()
            if len(words) == 3 and words[1] in "tTwW":
                names[program, int(words[0], 16)] = words[2]
    code = machine_code(cuobjdump, objects)
    by_name = {}
    for (name, arch), needs in code.items():
        by_name.setdefault(name, []).append((arch, needs))

    checked, planted, wrong = 0, set(), []
    starts = [line.split(None, 3) for line in launches]
    nameless = sorted({program for address, _, _, program in starts if (program, int(address, 16)) not in names})
    wrong += [f"{program}: it launched what its symbols do not name, so nothing is known of it" for program in nameless]
    for line in launches:
        address, threads, dynamic, program = line.split(None, 3)
        name = names.get((program, int(address, 16)), address)
        compiled = by_name.get(name, [])
        # A kernel with instructions that Hopper alone has is never started elsewhere: its other code only traps.
        for arch, needs in [c for c in compiled if c[0].endswith("a")] or compiled:
            why = why_not(needs, arch, int(threads), int(dynamic))
            checked += 1
            if "7planted" in name:
                planted |= {name} if why else set()
            elif why:
                wrong.append(f"{name} cannot be started with {threads} threads on {arch}: {why}")
    must_be_found = {name for name in by_name if "7planted" in name}
    for name in sorted(must_be_found - planted):
        wrong.append(f"{name} is planted to be impossible, and was not found to be")
    if checked == 0 or not must_be_found:
        wrong.append(f"{a.launches}: no launch of a kernel that is in the machine code")
    print(f"launches against machine code: {checked} checked, {len(planted)} planted ones found, {len(wrong)} wrong")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
