"""A study from its fetched files to what the analysis starts from; reads through ``io`` only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alsmuscle import (
    admission,
    contracts,
    counts,
    de,
    genes,
    io,
    layouts,
    published,
    qc,
    registry,
    samples,
)
from alsmuscle.errors import InputError
from alsmuscle.verify import sheet_checks

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from alsmuscle.cells_io import Matrices


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
    path = io.cached(manifest, spec["file"])
    members = card["files"][spec["file"]].get("members", {})
    beside = {key: spec[key] for key in ("quality",) if key in spec}
    if "annotation" in spec:
        beside["annotation"] = spec["annotation"]["file"]
    matrix, symbols = layouts.read_matrix(
        path,
        spec,
        members,
        **{key: io.cached(manifest, name) for key, name in beside.items()},
    )
    where = f"{card['id']}: {path}"

    sheet_spec = card["samples"]["sheet"]
    if sheet_spec["layout"] == "count_columns":
        sheet = samples.from_columns(matrix.columns)
    else:
        sheet = read_sheet(card, manifest)
    if "run_id" in card["samples"]:
        sheet, matrix = samples.merge_runs(sheet, matrix, card)
    kept, excluded = samples.harmonise(sheet, card)
    columns, excluded = samples.match_matrix(list(matrix.columns), kept, excluded, card)

    raw, notes = counts.as_counts(
        matrix[list(columns)].rename(columns=columns), spec["type"], where
    )
    table = io.read_gene_table(card["organism"])
    identity = genes.identify(raw.index, table, symbols=symbols, where=where)
    adata = counts.assemble(
        raw,
        identity,
        kept,
        {
            "files": manifest[["name", "url", "sha256"]].to_dict("list"),
            "notes": notes,
            "samples_in_source": len(sheet),
            "columns_in_source": [str(name) for name in matrix.columns],
        },
    )
    derived = qc.technical(adata)
    derived["sex_inferred"] = qc.sex_expression(adata, card["organism"])["sex_inferred"]
    adata.obs = adata.obs.join(derived)
    kept = kept.join(derived, on="sample_id")
    return contracts.check_counts(adata, where), kept, excluded


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
    from alsmuscle.cells_io import Matrices

    matrices = Matrices(card["cells"], lambda name: io.cached(manifest, name))
    layout = card["samples"]["sheet"]["layout"]
    if layout == "count_columns":
        sheet = samples.from_columns(matrices.names)
    else:
        sheet = matrices.sheet() if layout == "obs" else read_sheet(card, manifest)
    kept, excluded = samples.harmonise(sheet, card)
    names, excluded = samples.match_matrix(matrices.names, kept, excluded, card)
    return matrices, names, kept.assign(material=card["cells"]["material"]), excluded


def read_sheet(card: Mapping[str, Any], manifest: pd.DataFrame) -> pd.DataFrame:
    """Read a study's sample sheet: one row per sample (or run), as text."""
    spec = card["samples"]["sheet"]
    names = [spec["file"]] if isinstance(spec["file"], str) else spec["file"]
    return layouts.read_sheet([io.cached(manifest, name) for name in names], spec)


def check_designs(card: Mapping[str, Any], obs: pd.DataFrame) -> None:
    """Check that every contrast of a card can be computed from these samples.

    Raises
    ------
    InputError
        As :func:`alsmuscle.de.check_contrast`.
    """
    for entry in card["contrasts"]:
        where = f"config/datasets/{card['id']}.yaml: contrasts.{entry['id']}"
        de.check_contrast(obs, registry.contrast(dict(card), entry["id"]), where)


def completeness(card: Mapping[str, Any], adata: AnnData, excluded: pd.DataFrame) -> pd.DataFrame:
    """Account for every sample of the archive's record: obtained, analysed, or why not.

    Parameters
    ----------
    card
        Keys ``id``, ``role``, ``contrasts`` of the study card.
    adata
        Contract ``counts.h5ad``, as :func:`read_bulk` returns it.
    excluded
        Contract ``excluded``; its ``sample_id`` is the label of the source.

    Returns
    -------
    DataFrame
        Contract ``completeness``, analysed samples first; duplicates within the study are marked.
    """
    import pandas as pd

    obs = adata.obs
    used: dict[str, list[str]] = {str(sample): [] for sample in obs.index}
    for entry in card["contrasts"]:
        for sample in de.used_samples(obs, registry.contrast(dict(card), entry["id"])).index:
            used[str(sample)].append(entry["id"])
    labels = obs["sample_label"] if "sample_label" in obs else obs.index.to_series()
    rows = [
        {
            "sample_id": str(sample),
            "sample_label": str(labels[sample]),
            "obtained": True,
            "analysed": bool(used[str(sample)]),
            "reason": "" if used[str(sample)] else _unused(obs.loc[sample]),
        }
        for sample in obs.index
    ]
    columns = {str(name) for name in adata.uns["provenance"]["columns_in_source"]}
    spare = len(columns) - len(obs)  # columns that belong to no kept sample
    rows += [
        {
            "sample_id": row.sample_id,
            "sample_label": row.sample_id,
            "obtained": row.sample_id in columns or spare == len(excluded),
            "analysed": False,
            "reason": row.reason,
        }
        for row in excluded.itertuples()
    ]
    table = pd.DataFrame(rows).assign(dataset=card["id"], in_record=True)
    table["counts_sha256"] = table["sample_id"].map(counts.fingerprints(adata)).fillna("")
    table = table.sort_values("analysed", ascending=False, kind="stable", ignore_index=True)
    return mark_identical(table)


def _unused(sample: pd.Series) -> str:
    return f"in no contrast (condition '{sample['condition']}', or a covariate is unknown)"


def mark_identical(table: pd.DataFrame) -> pd.DataFrame:
    """Fill ``identical_to``: the samples, of any study in the table, with the same counts."""
    names = table["dataset"] + "/" + table["sample_label"]
    known = table["counts_sha256"].ne("")
    twins = names[known].groupby(table.loc[known, "counts_sha256"]).agg(list).to_dict()
    others = [
        ";".join(name for name in twins.get(digest, []) if name != own)
        for own, digest in zip(names, table["counts_sha256"], strict=True)
    ]
    return table.assign(identical_to=others)


def read_effects(card: Mapping[str, Any], manifest: pd.DataFrame) -> pd.DataFrame:
    """Read the published effects of a study.

    Parameters
    ----------
    card
        Keys ``id``, ``organism``, ``effects`` of the study card.
    manifest
        Contract ``manifest``.

    Returns
    -------
    DataFrame
        Contract ``de``.

    Raises
    ------
    InputError
        The file is not what the card says.
    """
    spec = card["effects"]
    path = io.cached(manifest, spec["file"])
    table = layouts.read_effects(path, spec)
    where = f"{card['id']}: {path}"
    identity = genes.identify(
        table[spec["gene_column"]], io.read_gene_table(card["organism"]), where=where
    )
    return published.effects(table, identity, spec, dataset=card["id"], where=where)


def verify(
    card: Mapping[str, Any], manifest: pd.DataFrame, fetched: pd.DataFrame
) -> list[dict[str, str]]:
    """Read a study as the analysis will, once its files are there.

    Parameters
    ----------
    card
        The study card.
    manifest, fetched
        Contracts ``manifest`` and ``checks``, as the download left them.

    Returns
    -------
    list
        Rows of contract ``checks``: what reading gave, or why it failed. None where a file is
        missing: nothing can be said beyond that.
    """
    if fetched["state"].isin([admission.FAILED, admission.UNREACHABLE]).any():
        return []
    name = card["id"]
    if card["modality"] == "cells":
        found = "read by the stage of single cells"
        return [admission.check(name, "reading", admission.NOT_VERIFIED, found=found)]
    rows: list[dict[str, str]] = []
    try:
        sheet = card.get("samples", {}).get("sheet", {})
        if sheet.get("layout") in ("series_matrix", "soft"):
            rows = sheet_checks(card, read_sheet(card, manifest))
        rows.append(admission.check(name, "reading", admission.AGREES, found=_read(card, manifest)))
    except InputError as error:
        rows.append(admission.failure(name, "reading", error))
    return rows


def _read(card: Mapping[str, Any], manifest: pd.DataFrame) -> str:
    if card["modality"] == "effects":
        return f"effects of {len(read_effects(card, manifest)):,} genes"
    if card["modality"] == "cells":
        matrices, names, kept, _ = cell_samples(card, manifest)
        # Sex is inferred from the counts, later.
        known = [
            entry
            for entry in card["contrasts"]
            if not set(registry.DERIVED) & {entry["variable"], *entry.get("adjust", [])}
        ]
        check_designs({**card, "contrasts": known}, kept)
        n = sum(matrices.read(name)[0].n_obs for name in names)
        return f"{len(kept)} samples, {n:,} barcodes"
    if card["modality"] == "array":
        from alsmuscle import study_arrays

        adata, kept, _ = study_arrays.read_arrays(card, manifest)
    else:
        adata, kept, _ = read_bulk(card, manifest)
    check_designs(card, adata.obs)
    return f"{len(kept)} samples, {adata.n_vars:,} genes"
