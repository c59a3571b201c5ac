#!/usr/bin/env python3
"""Trains across two "hosts" of one machine: two network namespaces with a name and an address each, and a cable of veth
between them. mpirun enters them through a script in ssh's place.

    scripts/processes/two_hosts.py [--build build/release]        as root

1. A run of two processes, one on each host, has the losses and weights of one process.
2. The cable is cut in the middle of a run: within --timeout the run ends with one line that names the rank and the host that
   does not answer, and no process is left on either host. mpirun may have words and a code of its own.
3. The cable is back: --resume goes on, to the same weights.

Where namespaces are not allowed, it says so and ends with code 0 ("skipped: ...").
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from processes.killing import LOSS_TOLERANCE, STEP, WEIGHT_TOLERANCE, distance, weights
from processes.tree import alive, running

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TIMEOUT = 5            # seconds, of the run whose cable is cut
SECONDS_TO_END = 25    # until the processes are gone: the time limit, the roll call, and mpirun
SECONDS_OF_MPIRUN = 90
ADDRESSES = {"alpha": "10.77.0.1", "beta": "10.77.0.2"}


class Unavailable(Exception):
    pass


class Hosts:
    """Each is a sleeping process that holds the namespaces."""

    def __init__(self, folder):
        self.holders, self.agent = {}, folder / "agent"

    def __enter__(self):
        for tool in ("unshare", "nsenter", "ip", "mpirun"):
            if not shutil.which(tool):
                raise Unavailable(f"{tool} is missing")
        try:
            for name in ADDRESSES:
                self.holders[name] = subprocess.Popen(
                    ["unshare", "--net", "--uts", "sh", "-c", f"hostname {name} && echo ready && exec sleep 3600"],
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                if self.holders[name].stdout.readline() != "ready\n":
                    raise Unavailable("namespaces are not allowed: " + self.holders[name].stderr.read().strip())
            self.connect()
        except BaseException:
            self.__exit__()
            raise
        cases = "".join(f"  {address}) holder={self.holders[name].pid} ;;\n" for name, address in ADDRESSES.items())
        self.agent.write_text("#!/bin/sh\n# HOST COMMAND...: what ssh would do.\ncase \"$1\" in\n" + cases +
                              "  *) echo \"no such host: $1\" >&2; exit 1 ;;\nesac\nshift\n"
                              "exec nsenter --target $holder --net --uts sh -c \"$*\"\n")
        self.agent.chmod(0o755)
        return self

    def __exit__(self, *_):
        for holder in self.holders.values():
            holder.kill()
            holder.wait()

    def connect(self):
        a, b = (self.holders[name].pid for name in ADDRESSES)
        cable = subprocess.run(["ip", "link", "add", "cable0", "netns", str(a), "type", "veth", "peer", "name", "cable0",
                                "netns", str(b)], capture_output=True, text=True)
        if cable.returncode != 0:
            raise Unavailable("veth is not allowed: " + cable.stderr.strip())
        for name, address in ADDRESSES.items():
            self.within(name, "ip", "address", "add", address + "/24", "dev", "cable0")
            self.within(name, "ip", "link", "set", "lo", "up")
            # mpirun sees that a host is gone when the kernel gives up sending: by default after a quarter of an hour.
            self.within(name, "sh", "-c", "echo 5 > /proc/sys/net/ipv4/tcp_retries2")
        self.plug("up")

    def plug(self, state):
        for name in ADDRESSES:
            self.within(name, "ip", "link", "set", "cable0", state)

    def within(self, name, *command):
        subprocess.run(["nsenter", "--target", str(self.holders[name].pid), "--net", "--uts", *command], check=True)

    def mpirun(self, command, environment):
        """mpirun runs on alpha. It notices a dead connection by what the kernel sends to find out (keepalive), after
        16 s: later than the processes themselves."""
        network = "10.77.0.0/24"
        settings = {"plm_rsh_agent": self.agent, "oob_tcp_if_include": network, "btl_tcp_if_include": network,
                    "oob_tcp_keepalive_time": 10, "oob_tcp_keepalive_intvl": 2, "oob_tcp_keepalive_probes": 3}
        flags = [part for name, value in settings.items() for part in ("--mca", name, str(value))]
        places = ",".join(f"{address}:1" for address in ADDRESSES.values())
        whole = ["nsenter", "--target", str(self.holders["alpha"].pid), "--net", "--uts", "mpirun", "-n", "2", "--host",
                 places, "--bind-to", "none", *flags, "-x", "OMP_NUM_THREADS", *map(str, command)]
        root = dict(environment, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        return subprocess.Popen(whole, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env=root)


def trained(folder, run, apps, *flags):
    return [apps / "pretrain", folder / "set", "--out", folder / run, "--model", "resnet20", "--image-size", "32", "-b", "16",
            "--lr", "0.00003", "--warmup-epochs", "0", "--epochs", "6", "--checkpoint-every", "1", "--knn-every", "3", "-j", "1", "--log-every", "1", "--device", "cpu",
            *flags]


def losses(output):
    return {int(step): float(loss) for step, loss in STEP.findall(output)}


def check_same(folder, run, output, wanted):
    """Every step's loss that was printed, and the weights."""
    for step, loss in losses(output).items():
        if abs(loss - wanted[step]) > LOSS_TOLERANCE * max(1.0, wanted[step]):
            sys.exit(f"error: {run}: step {step} has loss {loss}, and {wanted[step]} in one process")
    far = distance(*(weights(folder / name / "encoder.safetensors") for name in ("one", run)))
    if not far < WEIGHT_TOLERANCE:
        sys.exit(f"error: {run}: other weights than one process's: {far:.1e}")
    return far


def end_of(process, seconds, what):
    try:
        return process.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        sys.exit(f"error: {what} has not ended within {seconds} s")


def cut_in_the_middle(hosts, process, run):
    """Returns what was printed, and the seconds from the cut until no process of the run was left."""
    output = ""
    for line in process.stdout:
        output += line
        if line.startswith("step 6/"):
            break
    workers = running("pretrain", run)  # mpirun's daemon on beta is nobody's child
    if len(workers) != 2:
        sys.exit(f"error: {len(workers)} processes before the cut: {output}")
    hosts.plug("down")
    cut = time.monotonic()
    while any(map(alive, workers)):
        if time.monotonic() - cut > SECONDS_TO_END:
            sys.exit(f"error: {SECONDS_TO_END} s after the cut there are still processes")
        time.sleep(0.05)
    seconds = time.monotonic() - cut
    return output + end_of(process, SECONDS_OF_MPIRUN, "mpirun without a cable"), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    apps = parser.parse_args().build.resolve() / "apps"
    environment = dict(os.environ, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        try:
            hosts = Hosts(folder).__enter__()
        except Unavailable as why:
            print(f"skipped: {why}")
            return
        try:
            subprocess.run([apps / "make_toy_dataset", folder / "set", "--classes", "4", "--per-class", "16", "--image-size",
                            "32"], check=True, stdout=subprocess.DEVNULL)
            one = subprocess.run(trained(folder, "one", apps), env=environment, check=True, capture_output=True, text=True)
            wanted = losses(one.stdout)

            process = hosts.mpirun(trained(folder, "two", apps), environment)
            output = end_of(process, 300, "the run on two hosts")
            if process.returncode != 0:
                sys.exit(f"error: two hosts: code {process.returncode}: {output}")
            far = check_same(folder, "two", output, wanted)

            process = hosts.mpirun(trained(folder, "cut", apps, "--timeout", str(TIMEOUT)), environment)
            output, seconds = cut_in_the_middle(hosts, process, folder / "cut")
            said = re.findall(r"^pretrain: error: .*$", output, re.MULTILINE)
            if process.returncode == 0 or len(said) != 1 or "rank 1 on beta" not in said[0]:
                sys.exit(f"error: after the cut: code {process.returncode}: {output}")

            code = process.returncode
            hosts.plug("up")
            process = hosts.mpirun(trained(folder, "cut", apps, "--resume"), environment)
            output = end_of(process, 300, "the run that goes on")
            if process.returncode != 0:
                sys.exit(f"error: after the cut, --resume: code {process.returncode}: {output}")
            check_same(folder, "cut", output, wanted)
            print(f"two hosts: the weights of one process within {far:.1e}; {seconds:.1f} s after the cut no process was left: "
                  f"\"{said[0]}\" (code {code}); --resume went on to the same weights")
        finally:
            hosts.__exit__()


if __name__ == "__main__":
    main()
