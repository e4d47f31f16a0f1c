"""A bulk study from its runs' reads to one table of counts, run after run.

A run's reads are fetched with the hash of ENA's record, quantified and deleted, so that no more
than one run's lie on the disk; what was made of it stays, and is not made again.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsmuscle.archives import ena
from alsmuscle.core import files, log
from alsmuscle.core.errors import InputError
from alsmuscle.download.download import fetch, file_name
from alsmuscle.download.lock import Fetched
from alsmuscle.download.policy import FetchPolicy, stated
from alsmuscle.reads import reference, tools
from alsmuscle.reads.collect import to_genes
from alsmuscle.reads.quantify import Single, quantify

if TYPE_CHECKING:
    import pandas as pd

# Of an archive's run: its reads, and not a file of barcodes or of what was left over.
_MATE = re.compile(r"_[12]\.f(ast)?q\.gz$")


def counts(
    card: Mapping[str, Any],
    name: str,
    report: pd.DataFrame,
    *,
    cache: str | Path,
    mirror: str | Path | None = None,
    policy: FetchPolicy | None = None,
) -> Fetched:
    """Quantify the runs that a card's file of reads lists.

    Parameters
    ----------
    card
        Keys ``id``, ``accession``, ``organism``, ``files`` of the study card.
    name
        Name under ``files`` of the reads (``source: ena_fastq``).
    report
        ENA's run table: ``run_accession``, ``fastq_ftp``, ``fastq_md5``, ``fastq_bytes``.
    cache
        Folder that keeps the table of counts, each run's abundances and quality, and the index.
    mirror, policy
        As for downloads.

    Returns
    -------
    Fetched
        The table ``<name>.counts.tsv``: genes in rows, runs in columns, length-scaled estimated
        counts. Beside it ``<name>.quality.tsv``, a row per run.

    Raises
    ------
    InputError
        A run is not in ENA's record, cannot be had, or cannot be quantified; names the run.
    """
    import pandas as pd

    spec, study = card["files"][name], card["id"]
    listed = ena.ena_files(report)
    runs = run_names(spec["runs"])
    lost = [run for run in runs if run not in set(listed["run_accession"])]
    if lost:
        raise InputError(
            f"ENA's record lists no FASTQ files of {', '.join(lost[:5])}",
            where=f"config/datasets/{study}.yaml: files.{name}.runs",
            expected="runs such as " + ", ".join(map(str, listed["run_accession"].unique()[:5])),
            remedy="correct the runs; where the archive has no FASTQ, the study cannot be read",
        )
    folder = Path(cache) / study / name
    # Little to fetch, and wrong in every run if it is wrong: first.
    wanted = reference.source(card["organism"], spec.get("transcripts", ""))
    place = Path(cache) / "reference"
    held = reference.prepare(wanted, place, mirror=mirror, policy=policy)
    abundances, rows = {}, []
    for run in runs:
        part = listed[listed["run_accession"] == run]
        if len(part) > 2:  # single reads whose mate was lost lie beside the mates
            part = part[part["url"].str.contains(_MATE)]
        try:
            abundances[run], quality = _run(
                run, part, held, folder, spec, mirror=mirror, policy=policy, study=study
            )
        except InputError as error:
            error.args = (f"run {run}: {error.args[0]}",)
            error.problem = f"run {run}: {error.problem}"
            raise
        rows.append({"dataset": study, "run": run, **quality})
    table = to_genes(abundances, held.gene_of).length_scaled().round(3)
    path = Path(cache) / study / f"{name}.counts.tsv"
    with files.atomic(path) as temporary:
        table.to_csv(temporary, sep="\t")
    tool = f"kallisto {tools.version('kallisto')}"
    quality_table = pd.DataFrame(rows).assign(tool=tool, reference=held.name)
    with files.atomic(path.with_name(f"{name}.quality.tsv")) as temporary:
        quality_table.to_csv(temporary, sep="\t", index=False)
    content = path.read_bytes()
    return Fetched(
        url=f"reads of {spec.get('accession', card['accession'])}, {tool}, {held.name}",
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        retrieved=max(row["quantified_on"] for row in rows),
        source="quantified here",
    )


_MOST_RUNS = 10_000


def run_names(listed: Sequence[str]) -> list[str]:
    """Return runs one by one; an entry is a run or a range such as ``SRR11-SRR13``."""
    found: list[str] = []
    for entry in listed:
        match = re.fullmatch(r"([A-Z]+)(\d{1,12})-\1(\d{1,12})", entry)
        if match is None:
            found.append(entry)
            continue
        first, last = int(match[2]), int(match[3])
        if last - first >= _MOST_RUNS:
            raise InputError(
                f"the range {entry} has {last - first + 1:,} runs",
                expected=f"at most {_MOST_RUNS:,}, those of one study",
            )
        found += [f"{match[1]}{n:0{len(match[2])}d}" for n in range(first, last + 1)]
    return list(dict.fromkeys(found))


def _run(
    run: str,
    listed: pd.DataFrame,
    held: reference.Reference,
    folder: Path,
    spec: Mapping[str, Any],
    **terms: Any,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return a run's abundances and quality, from an earlier run of ours where it made the same."""
    import pandas as pd

    table, facts = folder / f"{run}.abundance.tsv.gz", folder / f"{run}.json"
    key = {
        "md5": listed["md5"].tolist(),
        "transcripts": held.digest,
        "kallisto": tools.version("kallisto"),
        "first_reads": spec.get("first_reads", 0),
        "fragments": [spec.get("fragment_length", 0), spec.get("fragment_spread", 0)],
    }
    if facts.is_file() and table.is_file():
        known = json.loads(facts.read_text(encoding="utf-8"))
        if known["key"] == key:
            return pd.read_csv(table, sep="\t"), known["quality"]
    place = folder / run
    paths = [
        fetch(
            stated(row.url, f"ENA's record of {run}"),
            place / file_name(row.url),
            md5=row.md5,
            bytes=int(row.bytes),
            **terms,
        ).path
        for row in listed.sort_values("url").itertuples()
    ]
    single = Single()
    if "fragment_length" in spec:
        single = Single(spec["fragment_length"], spec.get("fragment_spread", single.spread))
    abundance, quality = quantify(
        paths, held, single=single, first_reads=spec.get("first_reads", 0)
    )
    quality["quantified_on"] = datetime.now(UTC).isoformat(timespec="seconds")
    with files.atomic(table) as temporary:
        abundance.to_csv(temporary, sep="\t", index=False, compression="gzip")
    with files.atomic(facts) as temporary:
        temporary.write_text(json.dumps({"key": key, "quality": quality}), encoding="utf-8")
    if not spec.get("keep", False):
        shutil.rmtree(place)
    log.get("reads").info(
        "%s: %s reads, %s %s, %.1f %% on known transcripts",
        run,
        f"{quality['reads']:,}",
        quality["layout"],
        quality["strandedness"],
        quality["pct_aligned"],
    )
    return abundance, quality
