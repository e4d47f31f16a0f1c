# In:  the configuration, and result() of common.smk.
# Out: what holds for a whole run: its lock, the words on the terminal, what it says at its end.
import fcntl
import shutil
import sys
import time
from pathlib import Path

from snakemake.logging import logger

from alsmuscle.core.progress import PlainWords
from alsmuscle.core import outcome
from alsmuscle.data import admit


def run_lock():
    """Hold a lock while this run lives; say whether it is alone in this folder.

    The system frees the lock when the process ends, also of SIGKILL. Who is alone removes the lock
    that Snakemake leaves behind when it is killed, so that nobody has to unlock by hand.
    """
    try:
        handle = open(".run.lock", "w")
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        alone = False
    except OSError:
        return (
            None,
            False,
        )  # a file system without locks: Snakemake's own is all there is
    else:
        alone = True
        shutil.rmtree(".snakemake/locks", ignore_errors=True)
    fcntl.flock(handle, fcntl.LOCK_SH)
    return handle, alone


# Used as a module, the run and its terminal are another workflow's.
OURS = workflow.modifier.is_main_snakefile()
RUN_LOCK, ALONE = run_lock() if OURS and workflow.is_main_process else (None, False)

STARTED = time.time()

# The terminal says in plain words what goes on, whoever starts the run; the log file keeps every
# detail. Dry runs and --verbose speak Snakemake's own language.
if OURS and not (workflow.output_settings.dryrun or workflow.output_settings.verbose):
    for handler in [h for h in logger.handlers if h.name == "DefaultStreamHandler"]:
        plain = PlainWords(result("report/index.html"))
        plain.filters = handler.filters
        logger.removeHandler(handler)
        logger.addHandler(plain)


onsuccess:
    # What the report came to, where this run wrote it.
    summary = Path(result("report/summary.txt"))
    if summary.exists() and summary.stat().st_mtime > STARTED:
        # Its indented lines are the reasons, which follow.
        said = [
            x for x in summary.read_text().splitlines() if not x.startswith("  ")
        ]
        print("", *said, sep="\n", file=sys.stderr)
        print(f"report: {result('report/index.html')}", file=sys.stderr)
    # Last, what is not in the results, and why. A run for the files alone ends at the admission.
    table = result("provenance/outcome.tsv")
    ended = Path(table).exists() and Path(table).stat().st_mtime >= STARTED
    lost = (
        outcome.left_out(table)
        if ended
        else admit.left_out(result("provenance/admission.tsv"))
    )
    for line in outcome.in_lines(lost):
        print(f"\nleft out: {line}", file=sys.stderr)
    if lost:
        print(
            f"\nfinished; {len(lost)} of what was asked for is left out, "
            "as said above and on the first page",
            file=sys.stderr,
        )


onerror:
    # Snakemake's own report is long; say once more, last, what the user can mend.
    messages = Path(result("logs")).glob("**/*.error")
    for message in sorted(messages):
        print(f"\n{message.read_text().strip()}\n", file=sys.stderr)


onstart:
    # Snakemake 9.27 limits submissions to 100 a second, and for every job that has finished wakes
    # once a second to see whether the limit allows more (its pull request 3744): after some hundred
    # jobs a core does nothing else. Jobs on this machine are limited by its cores.
    if not workflow.remote_exec:
        workflow.scheduler.job_rate_limiter = None
    for stale in Path(result("logs")).glob("**/*.error"):
        stale.unlink()
    if ALONE:
        # Unfinished files of jobs that were killed.
        for stale in Path(SETTINGS["results"]).glob("**/.*.part.*"):
            stale.unlink(missing_ok=True)
