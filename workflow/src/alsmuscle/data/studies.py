"""A bulk study from its fetched files to what the analysis starts from; reads through
``core.files`` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alsmuscle.core import contracts, files
from alsmuscle.data import counts, genes, losses, samples
from alsmuscle.data import derived as data_derived
from alsmuscle.data.readers import matrices, sample_sheets

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


def read_bulk(
    card: Mapping[str, Any], manifest: pd.DataFrame
) -> tuple[AnnData, pd.DataFrame, pd.DataFrame]:
    """Read the counts of a bulk study with their samples and genes.

    Parameters
    ----------
    card
        Keys ``id``, ``organism``, ``files``, ``counts``, ``samples`` of the study card.
    manifest
        Contract ``manifest``: where the files lie.

    Returns
    -------
    adata
        Contract ``counts.h5ad``.
    kept
        Contract ``samples``.
    excluded
        Contract ``excluded``.

    Raises
    ------
    InputError
        The files are not what the card says.
    """
    spec = card["counts"]
    path = files.cached(manifest, spec["file"])
    members = card["files"][spec["file"]].get("members", {})
    beside = {key: spec[key] for key in ("quality",) if key in spec}
    if "annotation" in spec:
        beside["annotation"] = spec["annotation"]["file"]
    matrix, symbols, notes = matrices.read_matrix(
        path,
        spec,
        members,
        **{key: files.cached(manifest, name) for key, name in beside.items()},
    )
    where = f"{card['id']}: {path}"

    sheet_spec = card["samples"]["sheet"]
    if sheet_spec["layout"] == "count_columns":
        sheet = samples.from_columns(matrix.columns)
    else:
        sheet = sample_sheets.of_study(card, manifest)
    if "run_id" in card["samples"]:
        sheet, matrix = samples.merge_runs(sheet, matrix, card)
    kept, excluded = samples.harmonise(sheet, card)
    columns, excluded = samples.match_matrix(
        list(matrix.columns), kept, excluded, card, set(matrix.index)
    )

    raw, said = counts.as_counts(matrix[list(columns)].rename(columns=columns), spec["type"], where)
    raw, total = counts.without_total(raw)
    table = files.read_gene_table(card["organism"])
    identity = genes.identify(raw.index, table, symbols=symbols, where=where)
    genes.require_genes(identity, table, where)
    lost = losses.of_counts(raw, identity)
    adata = counts.assemble(
        raw,
        identity,
        kept,
        {
            "files": manifest[["name", "url", "sha256"]].to_dict("list"),
            "notes": [*notes, *said, *total, *lost.notes],
            "flagged": lost.flagged,
            "samples_in_source": len(sheet),
            "columns_in_source": [str(name) for name in matrix.columns],
        },
    )
    derived = data_derived.technical(adata)
    sex = data_derived.sex_expression(adata, card["organism"])
    derived["sex_inferred"] = sex["sex_inferred"]
    if note := data_derived.sex_note(sex):
        adata.uns["provenance"]["notes"] = [*adata.uns["provenance"]["notes"], note]
    adata.obs = adata.obs.join(derived)
    kept = kept.join(derived, on="sample_id")
    return contracts.check_counts(adata, where), kept, excluded
