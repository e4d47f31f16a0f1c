"""The samples of a single-cell study, from its fetched files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alsmuscle.core import files
from alsmuscle.data import genes, samples
from alsmuscle.data.readers import sample_sheets
from alsmuscle.data.readers.single_cell import Matrices

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


def cell_samples(
    card: Mapping[str, Any], manifest: pd.DataFrame
) -> tuple[Matrices, dict[str, str], pd.DataFrame, pd.DataFrame]:
    """Find the samples of a single-cell study and their matrices.

    Parameters
    ----------
    card
        Keys ``id``, ``cells``, ``samples`` of the study card.
    manifest
        Contract ``manifest``.

    Returns
    -------
    matrices
        Reads one sample's counts at a time.
    names
        Name of a matrix → sample id, for the samples that are kept.
    kept, excluded
        Contracts ``samples`` and ``excluded``. ``material`` is what one barcode holds.

    Raises
    ------
    InputError
        The files are not what the card says.
    """
    spec = card["cells"]
    if spec["layout"] == "reads":
        spec = spec | {"samples": _libraries(spec["file"], manifest)}
    matrices = Matrices(spec, lambda name: files.cached(manifest, name))
    layout = card["samples"]["sheet"]["layout"]
    if layout == "count_columns":
        sheet = samples.from_columns(matrices.names)
    else:
        sheet = matrices.sheet() if layout == "obs" else sample_sheets.of_study(card, manifest)
    kept, excluded = samples.harmonise(sheet, card)
    names, excluded = samples.match_matrix(matrices.names, kept, excluded, card)
    return matrices, names, kept.assign(material=card["cells"]["material"]), excluded


def _libraries(name: str, manifest: pd.DataFrame) -> list[dict[str, str]]:
    """Return the libraries that were quantified here, as a card lists samples of one file each."""
    found = [str(key) for key in manifest["name"] if str(key).startswith(f"{name}/")]
    return [
        {"sample_id": key.split("/")[1], "file": key, "raw": f"{key}/raw"}
        for key in found
        if f"{key}/raw" in found
    ]


def gene_identity(counts: AnnData, table: pd.DataFrame, where: str) -> pd.DataFrame:
    """Lead a sample's features to genes, as :func:`alsmuscle.data.genes.identify`.

    Parameters
    ----------
    counts
        A reader's output.
    table
        The gene table of the organism.
    where
        Study and sample, for messages.

    Raises
    ------
    InputError
        Hardly any feature is a gene that the table lists.
    """
    ids, symbols = counts.var["source_id"], counts.var["symbol"]
    identity = genes.identify(ids, table, symbols=symbols, where=where)
    genes.require_genes(identity, table, where, "features")
    return identity
