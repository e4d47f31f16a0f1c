"""A trial reading of a study, before it is admitted: the analysis' own readers, errors as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from alsmuscle.core import contracts, log
from alsmuscle.core.errors import InputError
from alsmuscle.data import account, admit, fetch
from alsmuscle.data.readers import sample_sheets
from alsmuscle.data.record import sheet_checks
from alsmuscle.data.tables import MANIFEST
from alsmuscle.download import sandbox
from alsmuscle.download.policy import FetchPolicy

if TYPE_CHECKING:
    import pandas as pd


def checks(
    card: Mapping[str, Any],
    manifest: pd.DataFrame,
    fetched: pd.DataFrame,
    *,
    memory: int = 4 << 30,
    seconds: float = 3600.0,
) -> list[dict[str, str]]:
    """Read a study as the analysis will, once its files are there.

    The reading is a child process: what it does to memory, time or itself is this study's failure.

    Parameters
    ----------
    card
        The study card.
    manifest, fetched
        Contracts ``manifest`` and ``checks``, as the download left them.
    memory, seconds
        What the job asked for, in bytes and in seconds; large files may take more memory.

    Returns
    -------
    list
        Rows of contract ``checks``: what reading gave, or why it failed. None where a file is
        missing: nothing can be said beyond that.
    """
    if admit.out_of_reach(fetched["state"]):
        return []
    most = sandbox.allowance(memory, int(manifest["bytes"].sum()))
    try:
        return list(
            sandbox.call(
                lambda: _rows(card, manifest),
                where=f"config/datasets/{card['id']}.yaml",
                max_bytes=most,
                seconds=seconds,
            )
        )
    except InputError as error:
        return [admit.failure(card["id"], "reading", error)]


def _rows(card: Mapping[str, Any], manifest: pd.DataFrame) -> list[dict[str, str]]:
    name = card["id"]
    rows: list[dict[str, str]] = []
    try:
        sheet = card.get("samples", {}).get("sheet", {})
        if sheet.get("layout") in ("series_matrix", "soft"):
            rows = sheet_checks(card, sample_sheets.of_study(card, manifest))
        rows.append(
            admit.check(
                name, "reading", admit.AGREES, found=account.of_study(card, manifest).summary
            )
        )
    except InputError as error:
        rows.append(admit.failure(name, "reading", error))
    except Exception as error:
        # One study never takes the others down, whatever its files hold.
        log.get("verify").exception("%s: reading failed", name)
        rows.append(
            admit.check(
                name,
                "reading",
                admit.FAILED,
                found=f"alsmuscle failed while reading the study ({type(error).__name__}: {error})",
                remedy=f"send us results/logs/data_verify/{name}.log, which says where",
            )
        )
    return rows


class Trial(NamedTuple):
    """What a run would make of a study with the files at hand.

    ``account``: None where it fails. ``failures``: what keeps it out, each once.
    """

    account: account.Account | None
    failures: list[dict[str, str]]


def trial(
    card: Mapping[str, Any],
    *,
    cache: str | Path,
    mirror: str | Path | None,
    folders: Sequence[str],
    min_replicates: int,
) -> Trial:
    """Obtain a study's files without the network, and read it as a run does.

    Parameters
    ----------
    card
        The study card.
    cache, mirror, folders
        Where files lie: of earlier runs, of a mirror, and one's own.
    min_replicates
        Samples a side below which no test is claimed.
    """
    policy = FetchPolicy(offline=True, folders=tuple(folders))
    obtained, looked = fetch.study_files(card, cache=cache, mirror=mirror, policy=policy)
    failures = [row for row in looked if row["state"] in admit.BAD]
    if admit.out_of_reach(row["state"] for row in failures):
        return Trial(None, failures)
    manifest = contracts.rows(obtained, MANIFEST)
    try:
        summary, lines = sandbox.call(
            lambda: list(account.of_study(card, manifest, min_replicates)),
            where=f"config/datasets/{card['id']}.yaml",
            max_bytes=sandbox.allowance(4 << 30, int(manifest["bytes"].sum())),
            seconds=3600.0,
        )
    except InputError as error:
        return Trial(None, [*failures, admit.failure(card["id"], "reading", error)])
    return Trial(account.Account(summary, [(what, text) for what, text in lines]), failures)
