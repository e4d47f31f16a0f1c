"""A trial reading of a study, before it is admitted: the analysis' own readers, errors as rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from alsmuscle.core import contracts, log
from alsmuscle.core.errors import InputError
from alsmuscle.data import admit, fetch
from alsmuscle.data.readers import sample_sheets
from alsmuscle.data.record import sheet_checks
from alsmuscle.data.tables import MANIFEST
from alsmuscle.download import sandbox
from alsmuscle.download.policy import FetchPolicy

if TYPE_CHECKING:
    import pandas as pd

    from alsmuscle.data import account


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
    if fetched["state"].isin([admit.FAILED, admit.UNREACHABLE]).any():
        return []
    # Readers are loaded only where there is something to read, and outside the child's bounds.
    from alsmuscle.data import account

    most = sandbox.allowance(memory, int(manifest["bytes"].sum()))
    try:
        return list(
            sandbox.call(
                lambda: _rows(card, manifest, account.of_study),
                where=f"config/datasets/{card['id']}.yaml",
                max_bytes=most,
                seconds=seconds,
            )
        )
    except InputError as error:
        return [admit.failure(card["id"], "reading", error)]


def _rows(
    card: Mapping[str, Any],
    manifest: pd.DataFrame,
    read: Callable[[Mapping[str, Any], pd.DataFrame], account.Account],
) -> list[dict[str, str]]:
    name = card["id"]
    rows: list[dict[str, str]] = []
    try:
        sheet = card.get("samples", {}).get("sheet", {})
        if sheet.get("layout") in ("series_matrix", "soft"):
            rows = sheet_checks(card, sample_sheets.of_study(card, manifest))
        rows.append(admit.check(name, "reading", admit.AGREES, found=read(card, manifest).summary))
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
    if any(row["state"] in (admit.FAILED, admit.UNREACHABLE) for row in failures):
        return Trial(None, failures)
    from alsmuscle.data import account

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
