"""What becomes of one study's job: its results, or marks that say why there are none.

Whatever goes wrong while one study is read, fitted or tested is that study's failure: its job ends
well, and each output it owes is a mark, one line of JSON with the error's kind, place and words. A
job that is given a mark hands it on. One table (contract ``outcome``) gathers the marks of a run,
and steps over all studies are given the paths of the others alone, so that they never meet a mark.

Not caught is what concerns every study: a broken installation, a full disk, a fault of a file that
all studies share, and a run that is interrupted.
"""

from __future__ import annotations

import atexit
import csv
import errno
import json
import logging
import os
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from alsmuscle.core import files, log
from alsmuscle.core.contracts import Table
from alsmuscle.core.errors import InputError
from alsmuscle.core.redaction import shown

if TYPE_CHECKING:
    import pandas as pd

OUTCOME = Table(
    name="outcome",
    columns={
        "dataset": "text",
        "contrast": "text",
        "kept": "flag",
        "step": "text",
        "error": "text",
        "place": "text",
        "reason": "text",
        "log": "text",
    },
    key=("dataset", "contrast"),
)
COLLECTIONS = "collections"
"""Stands for a study where the gene sets are fetched, which all studies share."""
TRIES_LEFT = "tries_left"
"""Resource of a job on a cluster: how often it is tried again, with more memory, if it fails."""
# What a process dies of by itself, or at the system's hand; an interrupt or an end that somebody
# asked for is no failure of a study.
_DEATHS = {
    getattr(signal, name)
    for name in ("SIGKILL", "SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL", "SIGSYS")
}
_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE}
_MACHINE_WORDS = tuple(
    word
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    for word in (os.strerror(number), f"errno = {number},")  # the latter of HDF5
)
_BEGINS = b'{"failed": '
# "left out at the step where ..."; a step that is not listed goes by its name.
_STEPS = {
    "data_fetch": "its files are downloaded",
    "reads_reference": "the index for its reads is made",
    "reads_quantify": "its reads are quantified",
    "data_verify": "its files are read for the first time",
    "bulk_fit": "its samples are read, fitted and checked",
    "bulk_fit_array": "its arrays are read, fitted and checked",
    "bulk_contrast": "genes, pathways and programmes are tested",
    "effects_import": "its published effects are imported",
    "calls_import": "its lists of called genes are imported",
    "enrichment_gsea": "its pathways are ranked",
    "cells_prepare": "its cells are read and checked",
    "cells_cluster": "its cells are clustered and named",
    "cells_pseudobulk": "its cells are summed per sample and cell type",
    "cells_contrast": "its cell types are compared",
}


@dataclass(frozen=True)
class Failure:
    """Why one study, or one contrast of it, has no results.

    Parameters
    ----------
    study, contrast
        Ids; ``contrast`` is empty where the whole study failed.
    step
        Rule whose job failed.
    kind
        Class of the exception, or name of the signal that ended the process.
    place
        ``alsmuscle/bulk/deseq2.py:120``: the last line of ours; empty where unknown.
    problem
        The error's own words, on one line.
    log
        Log file with the traceback, below the results folder.
    mendable
        The user can mend it: an :class:`InputError`, or too little memory. All else is ours to
        mend.
    """

    study: str
    contrast: str
    step: str
    kind: str
    place: str
    problem: str
    log: str
    mendable: bool

    def sentence(self) -> str:
        """Say in plain words what happened, and what to do."""
        what = f"{self.study}/{self.contrast}" if self.contrast else self.study
        step = f"where {_STEPS[self.step]}" if self.step in _STEPS else self.step
        if self.mendable:
            return f"{what} could not be analysed at the step {step}: {self.problem}"
        words = f"{self.kind}: {self.problem}" if self.problem else self.kind
        place = f" ({self.place})" if self.place else ""
        return (
            f"{what} met an error that the program did not foresee at the step {step}: {words}"
            f"{place}. Please send us the file {self.log}"
        )


@contextmanager
def job(snakemake: Any) -> Iterator[logging.Logger]:
    """Run the script of one study: log as :func:`alsmuscle.core.log.job`; a failure leaves marks.

    The script's work is done in a child process (on Linux), so that also one that the system kills,
    as a rule for want of memory, or that crashes, is this study's failure. Nothing may come after
    this block: a process whose block went well ends with status 0.

    Parameters
    ----------
    snakemake
        The script's ``snakemake`` object: ``wildcards.dataset``, perhaps ``wildcards.contrast``;
        ``rule``, ``input``, ``output``, ``log``, ``resources``.
    """
    ending = _as_child(snakemake)
    with log.job(snakemake.log[0]) as logger:
        for path in snakemake.input:
            if (given := read(path)) is not None:
                _mark(snakemake, given)
                logger.info("nothing to do: %s", given.sentence())
                raise SystemExit(0)
        try:
            yield logger
        except BaseException as error:
            # Panics of libraries in Rust are no `Exception`.
            if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
                raise
            if concerns_all(error, snakemake):
                raise
            logger.info("%s", traceback_text(error))
            if isinstance(error, MemoryError) and _tries_left(snakemake):
                logger.error("not enough memory; tried again with more")
                raise SystemExit(1) from None
            failure = _of_error(error, snakemake)
            _mark(snakemake, failure, again=True)
            logger.error("%s", failure.sentence())
    ending.went_well = True


def concerns_all(error: BaseException, snakemake: Any) -> bool:
    """Whether an error is no single study's.

    A broken installation, a machine without space or file handles, a fault of a file that several
    studies share: an input of the job whose path does not name the study.
    """
    study = str(snakemake.wildcards.dataset)
    if study == COLLECTIONS or isinstance(error, ImportError):
        return True
    one: BaseException | None = error
    while one is not None:
        if isinstance(one, OSError) and one.errno in _MACHINE:
            return True
        if any(word in str(one) for word in _MACHINE_WORDS):
            return True
        one = one.__cause__ or one.__context__
    if not isinstance(error, InputError) or not error.where:
        return False
    where = str(error.where)
    shared = [str(path) for path in snakemake.input if study not in Path(path).parts[:-1]]
    shared = [path for path in shared if Path(path).stem != study]
    return where.startswith(tuple(shared)) or f"/{COLLECTIONS}/" in where


def traceback_text(error: BaseException) -> str:
    """Return a traceback without the folders of this machine, fit to be sent."""
    whole = traceback.TracebackException.from_exception(error)
    one: traceback.TracebackException | None = whole
    while one is not None:
        for frame in one.stack:
            frame.filename = _short(frame.filename)
        one = one.__cause__ or one.__context__
    return "".join(whole.format()).rstrip()


def read(path: str | Path) -> Failure | None:
    """Return what a mark says, None for any other file or folder."""
    try:
        with Path(path).open("rb") as file:
            if file.read(len(_BEGINS)) != _BEGINS:
                return None
            content = _BEGINS + file.read()
    except (IsADirectoryError, FileNotFoundError):
        return None
    return Failure(**json.loads(content)["failed"])


def sound(paths: Iterable[str]) -> list[str]:
    """Return the paths that are no marks."""
    return [path for path in paths if read(path) is None]


def table(
    contrasts: Mapping[str, Sequence[str]], admission: pd.DataFrame, failures: Iterable[Failure]
) -> pd.DataFrame:
    """Say of every contrast whether its results count.

    Parameters
    ----------
    contrasts
        Contrasts of each selected study; one that compares nothing has an empty one.
    admission
        Contract ``admission``.
    failures
        From the marks of the admitted studies, in any order, repeated or not.

    Returns
    -------
    DataFrame
        Contract ``outcome``, a row per contrast. A study all of whose contrasts failed is left out.
    """
    import pandas as pd

    refused = {
        row.dataset: {"step": "data_admit", "reason": row.reason}
        for row in admission.itertuples()
        if not row.admitted
    }
    failed: dict[tuple[str, str], dict[str, str]] = {}
    for failure in sorted(set(failures), key=lambda found: (found.step, found.log)):
        text = {"step": failure.step, "error": failure.kind, "place": failure.place}
        text |= {"reason": failure.sentence(), "log": failure.log}
        failed.setdefault((failure.study, failure.contrast), text)
    nothing = {"step": "", "error": "", "place": "", "reason": "", "log": ""}
    rows = []
    for study, names in contrasts.items():
        for name in names:
            why = refused.get(study) or failed.get((study, "")) or failed.get((study, name)) or {}
            rows.append({"dataset": study, "contrast": name, "kept": not why, **nothing, **why})
    return pd.DataFrame(rows, columns=["dataset", "contrast", "kept", *nothing])


def require(found: pd.DataFrame, kinds: Mapping[str, Sequence[str]], *, all_required: bool) -> None:
    """Stop where the run cannot or must not go on.

    Parameters
    ----------
    found
        Contract ``outcome``.
    kinds
        Kind of study, in words → its studies: those that go through the same steps.
    all_required
        Whether a study may be left out at all.

    Raises
    ------
    InputError
        No contrast is left; or one is left out and ``all_required``; or all studies of a kind met
        one error at one line, which is then none of theirs.
    """
    out = found[~found["kept"]].drop_duplicates(["dataset", "reason"])
    lines = "\n".join(f"  {row.dataset}: {row.reason}" for row in out.itertuples())
    if not found["kept"].any():
        raise InputError(f"no study could be analysed\n{lines}")
    for kind, studies in kinds.items():
        rows = found[found["dataset"].isin(studies) & (found["step"] != "data_admit")]
        alike = rows.drop_duplicates(["step", "error", "place"])
        if rows["dataset"].nunique() > 1 and not rows["kept"].any() and len(alike) == 1:
            first = alike.iloc[0]
            if first["place"] and first["error"] != InputError.__name__:
                raise InputError(
                    f"all studies of {kind} met the same error of the program: {first['reason']}"
                )
    if all_required and len(out):
        raise InputError(
            f"{out['dataset'].nunique()} studies could not be analysed\n{lines}",
            remedy="mend that, or set `data.all_required: false` to go on without them",
        )


def kept(path: str | Path) -> list[tuple[str, str]]:
    """Return study and contrast of all that count; light, for the workflow's parsing."""
    return [(row["dataset"], row["contrast"]) for row in _rows(path) if row["kept"] == "True"]


def left_out(path: str | Path) -> list[tuple[str, str]]:
    """Return what is left out, ``study`` or ``study/contrast``, and why;
    light, like :func:`kept`.
    """
    whole = {study for study, _ in kept(path)}
    found: dict[str, str] = {}
    for row in _rows(path):
        if row["kept"] != "True":
            study = row["dataset"]
            found.setdefault(
                f"{study}/{row['contrast']}" if study in whole else study, row["reason"]
            )
    return list(found.items())


def in_lines(lost: Iterable[tuple[str, str]]) -> list[str]:
    """Return what the terminal says of what is left out: a line each.

    What lacks nothing but a server that answers stands in one line: without a network that is
    almost every study, each with the same sentence.
    """
    lines, waiting, hosts = [], [], dict[str, None]()
    for what, reason in lost:
        if asked := silent(what, reason):
            waiting.append(what)
            hosts |= dict.fromkeys(asked)
        else:
            lines.append(reason if reason.startswith(what) else f"{what}: {reason}")
    if waiting:
        more = f", and {len(hosts) - _MOST_HOSTS} others" if len(hosts) > _MOST_HOSTS else ""
        named = ", ".join(list(hosts)[:_MOST_HOSTS]) + more
        lines.append(
            f"{', '.join(waiting)}: no answer from {named}; to do: try again where there is a "
            "network, use `make fetch` elsewhere, or a mirror"
        )
    return lines


def silent(what: str, reason: str) -> list[str]:
    """Return the servers that do not answer, each once, where a reason says nothing else."""
    asked = _SILENT.findall(reason)
    if re.search(r"\w", _SILENT.sub("", reason.replace(f"{what}: ", ""))):
        return []
    return list(dict.fromkeys(filter(None, asked)))


# The parts of a reason that says no more than this: address and host, what introduces them, the
# remedy.
_SILENT = re.compile(
    r"(?:\S+: )?([\w.-]+) does not answer \((?:[^()]|\([^()]*\))*\)"
    r"|\S+: none of \d+ addresses served the file: |to do: try again where there is a network[^.]*"
)
_MOST_HOSTS = 3


def before(logs: str | Path) -> dict[str, str]:
    """Return log file → when its job last left marks, of all jobs that ever did.

    As a parameter of the job, it has each run try again what failed in the one before: the time is
    written with the marks, so it differs from the one that this job was started with.
    """
    return {
        str(path.with_name(path.name.removesuffix(".failed"))): path.read_text(encoding="utf-8")
        for path in Path(logs).glob("*/*.failed")
    }


def _rows(path: str | Path) -> list[dict[str, str]]:
    if not Path(path).is_file():
        return []
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quotechar='"'))


def _of_error(error: BaseException, snakemake: Any) -> Failure:
    frames = traceback.extract_tb(error.__traceback__)
    # Not the line of this module that runs the script.
    lines = [f"{_short(frame.filename)}:{frame.lineno}" for frame in frames[1:]]
    places = [line for line in lines if line.startswith(("alsmuscle/", "scripts/"))]
    memory = isinstance(error, MemoryError)
    words = "; ".join(" ".join(line.split()) for line in str(error).splitlines() if line.strip())
    return _failure(
        snakemake,
        kind=type(error).__name__,
        place=places[-1] if places else "",
        problem=_no_memory("memory ran out", snakemake) if memory else words,
        mendable=memory or isinstance(error, InputError),
    )


def _no_memory(what: str, snakemake: Any) -> str:
    asked = dict(snakemake.resources.items()).get("mem_mb", "?")
    return (
        f"{what}; the step counts on {asked} MB. To do: run it where there is more memory, or "
        "fewer steps at a time (--cores 1)"
    )


def _failure(snakemake: Any, *, kind: str, place: str, problem: str, mendable: bool) -> Failure:
    parts = Path(snakemake.log[0]).parts
    return Failure(
        study=str(snakemake.wildcards.dataset),
        contrast=str(getattr(snakemake.wildcards, "contrast", "")),
        step=str(snakemake.rule),
        kind=kind,
        place=place,
        problem=shown(problem[:2000]),
        log="/".join(parts[len(parts) - 1 - parts[::-1].index("logs") :]),
        mendable=mendable,
    )


def _mark(snakemake: Any, failure: Failure, *, again: bool = False) -> None:
    """Write a mark in place of each output; ``again``: note the time, so that a run tries again."""
    text = json.dumps({"failed": asdict(failure)}, ensure_ascii=False) + "\n"
    for path in snakemake.output:
        files.write_text(path, text)
    if again:
        files.write_text(f"{snakemake.log[0]}.failed", f"{datetime.now(UTC).isoformat()}\n")


def _tries_left(snakemake: Any) -> bool:
    return int(dict(snakemake.resources.items()).get(TRIES_LEFT, 0)) > 0


class _Ending:
    """The end of a job's child process: without taking apart what it loaded, a CPU second a job.

    Registered before the process is made, it comes after all that the job has to do at its end, and
    after all threads. Where the job did not go well the process ends as any other.
    """

    went_well = False

    def __call__(self) -> None:
        if self.went_well:
            _leave()


def _leave() -> NoReturn:
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


def _as_child(snakemake: Any) -> _Ending:
    """Go on in a child process; this one waits for it, marks its death and ends with its status."""
    ending = _Ending()
    if sys.platform != "linux":
        return ending
    log.end_with_parent()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    atexit.register(ending)
    with warnings.catch_warnings():
        # Python warns of threads; those of BLAS, all that there are, are made anew.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        _wait(pid, snakemake)
    return ending


def _wait(pid: int, snakemake: Any) -> NoReturn:
    status = os.waitpid(pid, 0)[1]
    if status == 0:
        _leave()  # all that was done here is imports
    if os.WIFEXITED(status):
        raise SystemExit(os.WEXITSTATUS(status))
    number = os.WTERMSIG(status)
    if number not in _DEATHS:
        raise SystemExit(128 + number)
    for path in map(Path, snakemake.output):
        for part in path.parent.glob(f".*.part.{path.name}"):
            part.unlink(missing_ok=True)
    name = signal.Signals(number).name
    killed = number == signal.SIGKILL
    problem = f"the system ended its process ({name}), as a rule because memory ran out"
    failure = _failure(
        snakemake,
        kind=name,
        place="",
        problem=_no_memory(problem, snakemake) if killed else "a library crashed",
        mendable=killed,
    )
    with Path(snakemake.log[0]).open("a", encoding="utf-8") as file:
        file.write(f"{name}: {failure.problem}\n")
    if killed and _tries_left(snakemake):
        raise SystemExit(1)
    _mark(snakemake, failure, again=True)
    sys.stderr.write(f"{failure.sentence()}\n")
    raise SystemExit(0)


def _short(name: str) -> str:
    """Return a source file's name from the package, script or library on."""
    parts = Path(name).parts
    if ".snakemake" in parts:  # a copy of the script: tmp1a2b3c4d.bulk_fit.py
        return f"scripts/{parts[-1].partition('.')[2]}"
    for folder in ("site-packages", "dist-packages", "alsmuscle", "lib"):
        if folder in parts:
            found = parts[len(parts) - 1 - parts[::-1].index(folder) :]
            return "/".join(found[1:] if folder.endswith("-packages") else found)
    return parts[-1] if parts else name
