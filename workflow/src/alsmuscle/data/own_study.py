"""Unpublished data of one's own, laid down so that a run takes it up:
card, sheet, configuration.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alsmuscle.core import contracts, files
from alsmuscle.core.errors import InputError
from alsmuscle.data import cards, own_tables, studies
from alsmuscle.data.tables import MANIFEST
from alsmuscle.download.containers import hash_file

CONFIG = """\
# Laid over the project's config/config.yaml; paths are relative to this file.
# Run it in the checkout:
#   make run CONFIG={here}
results: results/private
registry: [project, studies]  # the project's cards, and those beside this file
studies:
  # only these; with [verified, candidate, private] they are pooled with all public ones
  statuses: [private]
"""
_FOLDERS = """\
data:
  folders: {folders}  # where the tables of counts lie
"""


@dataclass(frozen=True)
class Written:
    """What was written where, what was guessed, what reading gave, and the command that runs it."""

    card: Path
    sheet: Path
    config: Path
    said: list[str]
    read: str
    command: str


def write(
    counts: Path,
    sheet: Path,
    *,
    folder: Path,
    study: str | None = None,
    contrast: Sequence[str] = (),
    role: str | None = None,
    title: str | None = None,
) -> Written:
    """Draft a card from two tables, read the study as a run would, and write it down.

    Parameters
    ----------
    counts, sheet, contrast, role, title
        As :func:`alsmuscle.data.own_tables.draft` takes them.
    folder
        Private folder: it gets ``config.yaml`` and ``studies/``.
    study
        Id of the card; the name of the counts' file when left out.

    Raises
    ------
    InputError
        The tables cannot be read as a study, or a card of this id is there already. Nothing is
        written then.
    """
    study = cards.plain(study or re.sub(r"\..*", "", counts.name))
    study = study if study[:1].isalpha() else f"study{study}"
    home, config = folder / "studies", folder / "config.yaml"
    card = home / f"{study}.yaml"
    if card.exists():
        raise InputError(
            "a card is there already",
            where=card,
            remedy="edit it, delete it, or give another name with `--id`",
        )
    proposal = own_tables.draft(
        counts, sheet, study=study, contrast=contrast, role=role, title=title
    )
    read = _read(proposal, counts, home)
    clean = home / f"{study}.samples.tsv"
    _write_sheet(clean, proposal)
    proposal.card["files"]["counts"]["url"] = os.path.relpath(counts, home)
    files.write_text(card, own_tables.card_text(proposal))
    cards.load_card(card)
    where = os.path.relpath(counts.absolute().parent, folder)
    if config.exists():
        known = (cards.load_yaml(config).get("data") or {}).get("folders") or []
        if not (where == "." or where.startswith("studies") or where in known):
            proposal.said.append(
                f"Add '{where}' to `data.folders` in {config}: the counts lie there."
            )
    else:
        text = CONFIG.format(here=config)
        files.write_text(config, text + _FOLDERS.format(folders=f"[{where!r}]"))
    return Written(card, clean, config, proposal.said, read, f"make run CONFIG={config}")


def _write_sheet(path: Path, proposal: own_tables.Proposal) -> None:
    files.write_text(path, proposal.sheet.to_csv(sep="\t", index=False, lineterminator="\n"))


def _read(proposal: own_tables.Proposal, counts: Path, home: Path) -> str:
    """Read the study as a run does, and say what came of it."""
    home.mkdir(parents=True, exist_ok=True)
    trial = home / f".{proposal.card['id']}.trial.tsv"
    try:
        _write_sheet(trial, proposal)
        rows = [
            {
                "study": proposal.card["id"],
                "name": name,
                "path": str(path),
                "url": path.name,
                "sha256": hash_file(path)[0],
                "bytes": path.stat().st_size,
                "source": "local",
                "retrieved": "",
                "pinned": "",
            }
            for name, path in (("counts", counts), ("sheet", trial))
        ]
        card = {**cards.UNPUBLISHED, **proposal.card}
        cards.check_card(card, home / f"{card['id']}.yaml")
        adata, kept, excluded = studies.read_bulk(card, contracts.rows(rows, MANIFEST))
    finally:
        trial.unlink(missing_ok=True)
    named = int((adata.var["symbol"] != "").sum())
    left = f"; {len(excluded)} left out" if len(excluded) else ""
    return f"{len(kept)} samples{left}, {adata.n_vars:,} genes, {named:,} of them known"
