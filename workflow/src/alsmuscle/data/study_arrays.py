"""An array study from its fetched files to what the analysis starts from; reads through ``core.files`` only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alsmuscle.bulk import limma, qc
from alsmuscle.core import contracts, files
from alsmuscle.core.errors import InputError
from alsmuscle.data import samples
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
    table = files.read_gene_table(card["organism"])
    chips, identities, notes = [], [], []
    for chip in card["intensities"]:
        path = files.cached(manifest, chip["file"])
        beside = chip.get("annotation", {}).get("file")
        values, probes, said = arrays.read_intensities(
            path, chip, files.cached(manifest, beside) if beside else None
        )
        here = f"{card['id']}: {path}: {chip['platform']}"
        log2, note = limma.to_log2(values, chip.get("scale", "auto"), here)
        if chip.get("normalise") == "quantile":
            log2 = limma.quantile_normalise(log2)
            note += " Quantile-normalised."
        if probes is None:
            raise InputError("nothing leads from probes to genes", where=here)
        chips.append(log2)
        identities.append(limma.identify(probes.reindex(log2.index), table, where=here))
        notes.append(" ".join([f"{chip['platform']}, {log2.shape[1]} arrays: {note}", *said]))

    names = list(dict.fromkeys(str(name) for chip in chips for name in chip.columns))
    if card["samples"]["sheet"]["layout"] == "count_columns":
        sheet = samples.from_columns(names)
    else:
        sheet = sample_sheets.of_study(card, manifest)
    if "run_id" in card["samples"]:
        sheet, owner = samples.merge_sheet(sheet, card)
    else:
        owner = pd.Series(names, index=names)
    merged, lacking = limma.merge_chips(chips, owner)
    kept, excluded = samples.harmonise(sheet, card)
    short = [label for label in kept["sample_label"] if label in lacking]
    if short:
        raise InputError(
            f"sample '{short[0]}' is not on every chip design ({len(short)} such sample(s))",
            where=f"{where}: intensities",
            expected="an array of each of " + ", ".join(c["platform"] for c in card["intensities"]),
            remedy="leave it out under samples.exclude with the reason, or use one chip design",
        )
    columns, excluded = samples.match_matrix(list(merged.columns), kept, excluded, card)
    adata = limma.assemble(
        merged[list(columns)].rename(columns=columns),
        pd.concat(identities, ignore_index=True),
        kept,
        {
            "files": manifest[["name", "url", "sha256"]].to_dict("list"),
            "notes": notes,
            "samples_in_source": len(sheet),
            "columns_in_source": [str(name) for name in merged.columns],
        },
        sex_symbols=qc.sex_symbols(card["organism"]),
    )
    sex = qc.sex_expression(adata, card["organism"])["sex_inferred"]
    adata.obs["sex_inferred"] = sex
    kept = kept.join(sex, on="sample_id")
    return contracts.check_counts(adata, where), kept, excluded
