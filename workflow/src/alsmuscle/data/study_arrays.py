"""An array study from its fetched files to what the analysis starts from; reads through
``core.files`` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alsmuscle.core import contracts, files
from alsmuscle.core.errors import InputError
from alsmuscle.data import derived, genes, intensities, losses, samples
from alsmuscle.data.readers import arrays, sample_sheets

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


def read_arrays(
    card: Mapping[str, Any], manifest: pd.DataFrame
) -> tuple[AnnData, pd.DataFrame, pd.DataFrame]:
    """Read the intensities of an array study with their samples and genes.

    Every chip design is brought to log2 by itself, normalised where the card says so, the designs
    of a sample are put together, and of a gene's probes that of highest mean expression stands for
    it.

    Parameters
    ----------
    card
        Keys ``id``, ``organism``, ``files``, ``intensities``, ``samples`` of the study card.
    manifest
        Contract ``manifest``: where the files lie.

    Returns
    -------
    adata
        Contract ``intensities.h5ad``.
    kept
        Contract ``samples``.
    excluded
        Contract ``excluded``.

    Raises
    ------
    InputError
        The files are not what the card says.
    """
    import pandas as pd

    where = f"config/datasets/{card['id']}.yaml"
    read = [_read(chip, manifest, card["id"]) for chip in card["intensities"]]
    names = list(dict.fromkeys(str(name) for one in read for name in one.values.columns))
    if card["samples"]["sheet"]["layout"] == "count_columns":
        sheet = samples.from_columns(names)
    else:
        sheet = sample_sheets.of_study(card, manifest)
    if "run_id" in card["samples"]:
        sheet, owner = samples.merge_sheet(sheet, card)
    else:
        owner = pd.Series(names, index=names)
    kept, excluded = samples.harmonise(sheet, card)
    # What is excluded may well be on another scale.
    out = owner.index[owner.isin(excluded["sample_id"])]
    chips, identities, notes = [], [], []
    for chip, one in zip(card["intensities"], read, strict=True):
        here = f"{card['id']}: {files.cached(manifest, chip['file'])}: {chip['platform']}"
        used = one.values.drop(columns=out, errors="ignore")
        log2, identity, said = _chip(one._replace(values=used), chip, card["organism"], here)
        chips.append(log2)
        identities.append(identity)
        notes.append(f"{chip['platform']}, {log2.shape[1]} arrays: {said}")
    merged, lacking = intensities.merge_chips(chips, owner)
    short = [label for label in kept["sample_label"] if label in lacking]
    if short:
        raise InputError(
            f"sample '{short[0]}' is not on every chip design ({len(short)} such sample(s))",
            where=f"{where}: intensities",
            expected="an array of each of " + ", ".join(c["platform"] for c in card["intensities"]),
            remedy="leave it out under samples.exclude with the reason, or use one chip design",
        )
    columns, excluded = samples.match_matrix(list(merged.columns), kept, excluded, card)
    used, identity = merged[list(columns)], pd.concat(identities, ignore_index=True)
    lost = losses.of_probes(used, identity)
    adata = intensities.assemble(
        used.rename(columns=columns),
        identity,
        kept,
        {
            "files": manifest[["name", "url", "sha256"]].to_dict("list"),
            "notes": [*notes, *lost.notes],
            "flagged": lost.flagged,
            "samples_in_source": len(sheet),
            "columns_in_source": names if "run_id" not in card["samples"] else list(owner.unique()),
        },
        sex_symbols=derived.sex_symbols(card["organism"]),
    )
    sex = derived.sex_expression(adata, card["organism"])
    if note := derived.sex_note(sex):
        adata.uns["provenance"]["notes"] = [*adata.uns["provenance"]["notes"], note]
    adata.obs["sex_inferred"] = sex["sex_inferred"]
    kept = kept.join(sex["sex_inferred"], on="sample_id")
    return contracts.check_counts(adata, where), kept, excluded


def _read(chip: Mapping[str, Any], manifest: pd.DataFrame, dataset: str) -> arrays.Intensities:
    path = files.cached(manifest, chip["file"])
    beside = chip.get("annotation", {}).get("file")
    found = arrays.read_intensities(path, chip, files.cached(manifest, beside) if beside else None)
    if found.probes is None:
        raise InputError(
            "nothing leads from probes to genes", where=f"{dataset}: {path}: {chip['platform']}"
        )
    return found


def _chip(
    read: arrays.Intensities, chip: Mapping[str, Any], organism: str, where: str
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Return a chip's log2 intensities, row by row the genes, and what was done in words."""
    log2, said = intensities.to_log2(read.values, chip.get("scale", "auto"), where)
    if chip.get("normalise") == "quantile":
        log2 = intensities.quantile_normalise(log2)
        said += " Quantile-normalised."
    assert read.probes is not None
    # In the order and number that the arrays have the probes.
    probes = read.probes.reindex(log2.index).fillna("")
    table = files.read_gene_table(organism)
    identity = intensities.identify(probes, table, where=where)
    genes.require_genes(identity.set_axis(log2.index, axis=0), table, where, "probes")
    return log2, identity, " ".join([said, *read.notes])
