"""The demo through a real SLURM: `make slurm`.

Starts munged, slurmctld and slurmd on the loopback interface, runs the demo with the profile
`config/profiles/slurm`, gives one job too little memory, and checks that SLURM killed it, that it
was submitted again with more, and that the tables are those of a local run where there is one.
Whatever was started is stopped, by its process id; an existing /etc/slurm/slurm.conf is put back.
Arguments go to Snakemake: `python tests/drills/slurm.py --config 'studies={"ids": ["simals1"]}'`
runs a part.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from survive import TIMED, Registry, RunLostError, demo_registry

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))
from support import ROOT

CONF = Path("/etc/slurm/slurm.conf")  # the only place that job steps read
DAEMONS = ("slurmctld", "slurmd", "slurmdbd")
# A job that needs about 500 MB with the two Snakemake processes around it.
STARVED, TOO_LITTLE_MB = "synthesis_pool", 300
PATIENCE = 3600  # seconds


def main() -> None:
    """Run the demo through SLURM and report what happened."""
    install()
    # Ended from outside, it still stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    running = [p.name() for p in psutil.process_iter() if p.name() in DAEMONS]
    if running:
        sys.exit(
            f"{running[0]} runs here already: this machine belongs to a cluster; use the profile"
        )
    base = Path(tempfile.mkdtemp(prefix="alsmuscle-slurm-"))
    base.chmod(0o755)
    began = time.monotonic()
    try:
        registry = demo_registry(base / "project")
        with cluster(base):
            jobs = run(registry, base, "--configfile", "config/demo.yaml", *sys.argv[1:])
        if not sys.argv[1:]:
            compare(registry)
    except RunLostError as error:
        sys.exit(f"FAILED: {error}\n(the folder is {base})")
    table = ROOT / "results" / "slurm" / "jobs.tsv"
    table.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(jobs[0]), *("\t".join(job.values()) for job in jobs)]
    table.write_text("\n".join(lines) + "\n")
    print(f"{time.monotonic() - began:.0f} s; every submission: {table.relative_to(ROOT)}")
    shutil.rmtree(base)


def install() -> None:
    """Install SLURM from Debian's packages where it is missing."""
    if shutil.which("slurmctld") and shutil.which("slurmd") and shutil.which("munged"):
        return
    subprocess.run(["apt-get", "update", "-qq"], check=True)
    packages = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", "slurm-wlm", "munge")
    subprocess.run(packages, check=True, stdout=subprocess.DEVNULL)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def configuration(base: Path) -> str:
    """One node, one partition, no accounting; a job above its memory is killed."""
    host = socket.gethostname().split(".")[0]
    cpus = psutil.cpu_count()
    memory = int(psutil.virtual_memory().total / 2**20 * 0.9)
    return f"""\
ClusterName=alsmuscle
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={free_port()}
SlurmdPort={free_port()}
SlurmUser=root
SlurmdUser=root
AuthInfo=socket={base}/munge.socket
StateSaveLocation={base}/ctld
SlurmdSpoolDir={base}/slurmd
SlurmctldPidFile={base}/slurmctld.pid
SlurmdPidFile={base}/slurmd.pid
SlurmctldLogFile={base}/slurmctld.log
SlurmdLogFile={base}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
ReturnToService=2
MinJobAge=3600
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} Sockets=1 CoresPerSocket={cpus} ThreadsPerCore=1 \
RealMemory={memory} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


@contextmanager
def cluster(base: Path) -> Iterator[None]:
    """SLURM on this machine for the length of a block."""
    before = CONF.read_bytes() if CONF.exists() else None
    for name in ("ctld", "slurmd"):
        (base / name).mkdir()
    (base / "munge.key").write_bytes(os.urandom(128))
    (base / "munge.key").chmod(0o400)
    CONF.parent.mkdir(exist_ok=True)
    try:
        CONF.write_text(configuration(base))
        munge = ("socket", "pid-file", "key-file", "log-file", "seed-file")
        names = ("munge.socket", "munged.pid", "munge.key", "munged.log", "munged.seed")
        options = [f"--{option}={base}/{name}" for option, name in zip(munge, names, strict=True)]
        subprocess.run(["munged", "--force", *options], check=True, stderr=subprocess.DEVNULL)
        subprocess.run(["slurmctld", "-i"], check=True)
        subprocess.run(["slurmd"], check=True)
        until = time.monotonic() + 60
        while not re.search(r"\bidle\b", say("sinfo", "--noheader", "--format=%T")):
            if time.monotonic() > until:
                raise RunLostError(
                    f"the node does not come up: {(base / 'slurmd.log').read_text()}"
                )
            time.sleep(1)
        yield
    finally:
        subprocess.run(["scancel", "--user=root"], check=False, capture_output=True)
        for name in ("slurmd", "slurmctld", "munged"):
            stop(base / f"{name}.pid")
        if before is None:
            CONF.unlink(missing_ok=True)
        else:
            CONF.write_bytes(before)


def stop(pid_file: Path) -> None:
    """End the process of a pid file, and wait until it has ended."""
    if not pid_file.exists():
        return
    try:
        process = psutil.Process(int(pid_file.read_text()))
        process.terminate()
        process.wait(30)
    except psutil.NoSuchProcess:
        pass


def say(*command: str) -> str:
    """Output of a command, empty when it fails."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def run(registry: Registry, base: Path, *options: str) -> list[dict[str, str]]:
    """Run with one job starved of memory; return one row per submission."""
    # One core per submission: two studies side by side are faster than two threads in one.
    command = ["snakemake", "--workflow-profile", "config/profiles/slurm", "--cores", "1"]
    command += ["--set-resources", f"{STARVED}:mem_mb={TOO_LITTLE_MB}*4**(attempt-1)"]
    command += ["--slurm-init-seconds-before-status-checks", "3"]
    command += ["--seconds-between-status-checks", "3"]
    registry.command = [*command, *options]
    code = registry.start().wait(PATIENCE)
    jobs = submissions()
    if code != 0:
        raise RunLostError(f"the run failed:\n{registry.output()[-5000:]}")
    starved = [job for job in jobs if job["what"] == f"rule_{STARVED}"]
    if [job["state"] == "COMPLETED" for job in starved] != [False, True]:
        raise RunLostError(f"{STARVED} was to be killed once and then to succeed: {starved}")
    memory = [int(job["memory_mb"]) for job in starved]
    if memory != [TOO_LITTLE_MB, 4 * TOO_LITTLE_MB]:
        raise RunLostError(f"{STARVED} was to be given more memory: {memory}")
    reason = f"StepId={starved[0]['job']}.0 exceeded memory limit"
    if reason not in (base / "slurmd.log").read_text():
        raise RunLostError(f"slurmd does not say '{reason}'")
    others = {job["state"] for job in jobs if job not in starved}
    if others != {"COMPLETED"}:
        raise RunLostError(f"other submissions ended as {sorted(others)}")
    if not (registry.results / "report" / "index.html").exists():
        raise RunLostError("there is no report")
    measured = len(list((registry.results / "benchmarks").rglob("*.tsv")))
    print(f"{len(jobs)} submissions for {measured} jobs; {STARVED}:")
    print(f"killed at {memory[0]} MB ({reason}), submitted again with {memory[1]} MB, done")
    return jobs


def submissions() -> list[dict[str, str]]:
    """What SLURM remembers of each submission."""
    rows = []
    for line in say("scontrol", "--oneliner", "show", "jobs").splitlines():
        facts = dict(re.findall(r"(\w+)=(\S*)", line))
        if "JobId" not in facts:
            continue  # no job is known
        memory = re.search(r"TRES=\S*mem=([\d.]+)([MG])", line)
        size = round(float(memory[1]) * (1024 if memory[2] == "G" else 1)) if memory else 0
        rows.append(
            {
                "job": facts["JobId"],
                "what": facts.get("Comment", ""),
                "state": facts["JobState"],
                "cpus": facts["NumCPUs"],
                "memory_mb": str(size),
                "limit": facts["TimeLimit"],
                "elapsed": facts["RunTime"],
            }
        )
    return sorted(rows, key=lambda row: int(row["job"]))


def compare(registry: Registry) -> None:
    """Hold the results against those of `make demo`, where they are there."""
    local = Registry(ROOT, "results/demo", ["make", "demo"])
    if not (local.results / "report" / "index.html").exists():
        print("no results of `make demo` to compare with")
        return
    # That file names the commit of this checkout; the copy is none.
    local.apart = registry.apart = (*TIMED, "provenance/versions.json")
    registry.reference = local.state()
    registry.check()
    print(f"{len(registry.reference)} files are those of `make demo`, byte by byte")


if __name__ == "__main__":
    main()
