#!/usr/bin/env python3
"""Trains under Slurm, on a cluster of this one machine that the script starts and stops.

    scripts/processes/slurm.py [--build build/release]        as root; packages slurm-wlm and munge

1. A batch of two tasks (srun --mpi=pmix) has the losses and weights of one process. So has mpirun in a batch, which asks Slurm
   how many processes there shall be.
2. A plain srun, whose tasks cannot find each other, ends with code 2 and the line that says how to start.
3. SIGUSR1, as #SBATCH --signal sends it before the time limit, ends the run with a checkpoint and code 8, and the same batch goes
   on to the same weights.
4. A task that is killed ends the others; the same batch goes on.

Where Slurm is not installed, it says so and ends with code 0 ("skipped: ...").
"""
import argparse
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from processes.tree import alive, running
from processes.two_hosts import ROOT, check_same, losses, trained

SECONDS_OF_A_BATCH = 300
TOOLS = {"munged": "munge", "slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "mpirun": "openmpi-bin"}
SETTINGS = """ClusterName=kindred
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={node}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=5
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/d.pid
SlurmdSpoolDir={folder}/spool
StateSaveLocation={folder}/state
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES State=UP
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cluster:
    def __init__(self, folder):
        self.folder, self.daemons = folder, []
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "OMP_NUM_THREADS": "1",
                            "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}

    def __enter__(self):
        for name in ("spool", "state"):
            (self.folder / name).mkdir()
        (self.folder / "key").write_bytes(secrets.token_bytes(1024))
        (self.folder / "key").chmod(0o400)
        host = socket.gethostname().split(".")[0]
        (self.folder / "slurm.conf").write_text(SETTINGS.format(host=host, folder=self.folder, control=free_port(), node=free_port()))
        files = [f"--{what}={self.folder}/munge.{ending}" for what, ending in
                 (("socket", "socket"), ("pid-file", "pid"), ("log-file", "log"), ("seed-file", "seed"))]
        # munged insists on folders that nobody else may write to; a temporary one of root's is.
        self.start("munged", "--foreground", "--force", f"--key-file={self.folder}/key", *files)
        self.start("slurmctld", "-D")
        self.start("slurmd", "-D")
        for _ in range(60):
            ready = subprocess.run(["sinfo", "-h", "-o", "%T"], env=self.environment, capture_output=True, text=True)
            if ready.stdout.strip() == "idle":
                return self
            time.sleep(0.5)
        self.__exit__()
        sys.exit(f"error: Slurm did not start: {ready.stdout}{ready.stderr}")

    def start(self, *command):
        log = (self.folder / f"{command[0]}.log").open("w")
        self.daemons.append(subprocess.Popen(command, env=self.environment, stdout=log, stderr=subprocess.STDOUT))
        time.sleep(0.5)

    def __exit__(self, *_):
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in reversed(self.daemons):
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()

    def submit(self, line, name):
        """Begins a batch of two tasks. Its output ends with the code of its last command."""
        script = self.folder / f"{name}.sh"
        script.write_text(f"#!/bin/bash\n#SBATCH --ntasks=2 --cpus-per-task=1\n{line}\necho code $?\n")
        self.output = self.folder / f"{name}.out"
        done = subprocess.run(["sbatch", "--parsable", "-o", self.output, script], env=self.environment, capture_output=True,
                              text=True, check=True)
        return done.stdout.strip()

    def said(self, wanted=None):
        """What the batch says until its end, or until `wanted` stands there."""
        end = time.monotonic() + SECONDS_OF_A_BATCH
        while time.monotonic() < end:
            text = self.output.read_text() if self.output.exists() else ""
            if (wanted or "\ncode ") in text:
                return text
            time.sleep(0.1)
        sys.exit(f"error: a batch has not ended, or not said {wanted!r}: {text}")

    def batch(self, line, name):
        self.submit(line, name)
        return self.said()


def expect(condition, what, said):
    if not condition:
        sys.exit(f"error: {what}:\n{said}")


def try_all(cluster, folder, apps):
    def command(run, *flags):
        return " ".join(map(str, trained(folder, run, apps, *flags)))

    subprocess.run([apps / "make_toy_dataset", folder / "set", "--classes", "4", "--per-class", "16"], check=True,
                   stdout=subprocess.DEVNULL)
    one = subprocess.run(trained(folder, "one", apps), env=cluster.environment, check=True, capture_output=True, text=True)
    wanted = losses(one.stdout + one.stderr)
    expect(wanted, "one process says no step", one.stdout)

    for run, starter in (("pmix", "srun --mpi=pmix"), ("mpirun", "mpirun")):
        said = cluster.batch(f"{starter} {command(run)}", run)
        expect(said.endswith("code 0\n"), f"{starter}: not code 0", said)
        expect('"processes": 2' in (folder / run / "config.json").read_text(), f"{starter}: not two processes", said)
        print(f"{starter}: the weights of one process within {check_same(folder, run, said, wanted):.1e}", flush=True)

    said = cluster.batch(f"srun {command('plain')}", "plain")
    expect("srun --mpi=pmix" in said and said.endswith("code 2\n"), "a plain srun is not refused", said)
    print("a plain srun: code 2, and the line that says how to start", flush=True)

    resumed = f"srun --mpi=pmix {command('resumed', '--resume')}"
    job = cluster.submit(resumed, "signal")
    cluster.said("step 6/")
    subprocess.run(["scancel", "--signal=USR1", job], env=cluster.environment, check=True)
    said = cluster.said()
    expect("SIGUSR1: a checkpoint of step" in said and said.endswith("code 8\n"), "SIGUSR1 does not end it with code 8", said)

    cluster.submit(resumed, "killed")
    cluster.said("step 15/")
    tasks = running("pretrain", folder / "resumed")
    expect(len(tasks) == 2, f"{len(tasks)} tasks", "")
    os.kill(max(tasks), signal.SIGKILL)
    said = cluster.said()
    expect(not said.endswith("code 0\n") and not any(map(alive, tasks)), "a task was killed, and the batch went on", said)
    said = cluster.batch(resumed, "resumed")
    expect("continuing from " in said and said.endswith("code 0\n"), "the batch does not go on", said)
    print(f"SIGUSR1, then a task that is killed: the same batch went on to the weights of one process within "
          f"{check_same(folder, 'resumed', said, wanted):.1e}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=ROOT / "build/release", type=pathlib.Path)
    a = parser.parse_args()
    missing = [f"{tool} (package {package})" for tool, package in TOOLS.items() if not shutil.which(tool)]
    if missing or os.geteuid() != 0:
        print(f"skipped: {', '.join(missing) + ' is missing' if missing else 'only root may start Slurm'}")
        return
    with tempfile.TemporaryDirectory(prefix="kindred-slurm-") as name, Cluster(pathlib.Path(name)) as cluster:
        folder = pathlib.Path(name) / "runs"
        folder.mkdir()
        try_all(cluster, folder, a.build.absolute() / "apps")


if __name__ == "__main__":
    main()
