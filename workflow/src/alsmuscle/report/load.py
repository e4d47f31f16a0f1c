"""Gather the finished tables of a run for the report; reads through ``core.files`` only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsmuscle.bulk.block_effects import in_gene_units
from alsmuscle.bulk.tables import BLOCK_EFFECTS, DE, ENGINES, OMNIBUS, PCA, PCA_COVARIATES, QC
from alsmuscle.cells.tables import (
    ACTIVITY,
    BARCODES,
    CELLS_QC,
    CLUSTERS,
    COEXPRESSION,
    COMPOSITION,
    MARKERS,
    TYPES,
)
from alsmuscle.core import files as io
from alsmuscle.core import log
from alsmuscle.core.contracts import rows as contract_rows
from alsmuscle.core.errors import InputError
from alsmuscle.core.outcome import OUTCOME
from alsmuscle.core.redaction import shown
from alsmuscle.data import cards as registry
from alsmuscle.data.collections import read_collections
from alsmuscle.data.readers.sections import PLACES
from alsmuscle.data.tables import (
    CHECKS,
    COMPLETENESS,
    CONTROL_PROBES,
    EXCLUDED,
    IMPORTED,
    MANIFEST,
    SAMPLES,
    WARNINGS,
)
from alsmuscle.genesets import pathways, targets
from alsmuscle.genesets.programmes import as_sets, blocks
from alsmuscle.genesets.scoring import drivers
from alsmuscle.genesets.tables import COVERAGE, EFFECTS, GSEA, SETS
from alsmuscle.reads import libraries
from alsmuscle.reads.tables import READS
from alsmuscle.report import doubts, methods
from alsmuscle.report.build import CellsData, ContrastData, ReportData, StudyData, Synthesis
from alsmuscle.report.model import Expression, Levels
from alsmuscle.synthesis import changes
from alsmuscle.synthesis.tables import (
    BLOCKS,
    CALL_AGREEMENT,
    CALLED_BLOCKS_ALL,
    CALLED_GENES_ALL,
    CHANGES,
    CLAIM_STUDIES,
    CLAIMS,
    CONTRASTS,
    DENERVATION,
    POOLED_GENES,
    POOLED_PROGRAMMES,
    PROPORTIONS,
    SHARES,
)

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


def report_data(
    results: str | Path,
    cards: Mapping[str, registry.Card],
    *,
    left_out: Sequence[Mapping[str, str]],
    settings: Mapping[str, Any],
    programmes: str | Path,
    notes: str | Path,
    collections: Mapping[str, Mapping[str, Any]],
    document: Mapping[str, Any],
    proportions: bool = False,
) -> ReportData:
    """Return everything the pages show.

    Parameters
    ----------
    results
        The results folder, complete.
    cards
        The studies that were selected; what is not in the results is listed as left out.
    left_out
        Studies that were not selected, with reasons.
    settings
        The effective configuration.
    programmes, notes
        ``config/programmes.tsv`` and ``config/programme_notes.tsv``.
    collections
        The gene-set collections that were tested.
    document
        ``config/claims.yaml``, checked.
    proportions
        Whether the run estimated proportions: the folder may hold those of a former one.
    """
    import pandas as pd

    results = Path(results)
    outcome = io.read_table(results / "provenance" / "outcome.tsv", OUTCOME)
    lost = outcome[~outcome["kept"]]
    selected, cards = cards, _kept(cards, outcome)
    noted = _notes_of_run(results, lost)
    versions = io.read_json(results / "provenance" / "versions.json")
    listed = io.read_plain(programmes)
    known = {
        organism: io.read_gene_table(organism)
        for organism in sorted({card["organism"] for card in cards.values()})
    }
    members = {
        organism: blocks(listed, organism, table).query("not stripped")
        for organism, table in known.items()
    }
    asked = targets.symbols(targets.gene_targets(document["claims"]))
    synthesis = _synthesis(results, document, proportions)
    studies, excluded = [], []
    for name, card in cards.items():
        study, samples = _study(results, card, settings, versions, members[card["organism"]], asked)
        if card["modality"] == "effects" and synthesis.blocks is not None:
            study = _with_effects(study, synthesis.blocks, members[card["organism"]])
        studies.append(replace(study, **noted(name), reads=_reads(results, card)))
        excluded.append(samples)
    rows = _left_out_rows(lost, set(cards))
    rows += [{"kind": "study", "id": row["dataset"], **row} for row in left_out]
    excluded.append(pd.DataFrame(rows, columns=["kind", "dataset", "id", "what", "reason"]))
    return ReportData(
        studies=studies,
        left_out=[
            replace(StudyData(card=card, **noted(name)), completeness="")
            for name, card in selected.items()
            if name not in cards
        ],
        excluded=pd.concat(excluded, ignore_index=True),
        titles={row["dataset"]: row["title"] for row in left_out if row.get("title")},
        programmes=listed.rename(columns={"human": "symbol"}),
        coverage=io.read_table(results / "programmes" / "coverage.tsv", COVERAGE),
        programme_info=programme_info(io.read_plain(notes)),
        headline=[tuple(pair) for pair in settings["report"]["headline"]],
        alpha=settings["report"]["padj"],
        top=settings["report"]["top"],
        methods=[
            *methods.of_reads([study.reads for study in studies]),
            *methods.steps(settings, versions["packages"], collections),
        ],
        lock=io.read_table(results / "provenance" / "data_lock.tsv", MANIFEST).drop(
            columns=["path"]
        ),
        versions=versions["packages"],
        runtimes=_runtimes(results),
        commit=versions["commit"],
        config=shown((results / "provenance" / "config.yaml").read_text(encoding="utf-8")),
        parameters=settings,
        synthesis=synthesis,
        orthologs=targets.human_ids(),
        former=_former_symbols(known.values()),
        gene_sets=_gene_sets(results, listed) if collections else {},
        human_symbols=io.human_names() if "mouse" in known else None,
    )


def _former_symbols(tables: Iterable[pd.DataFrame]) -> dict[str, str]:
    """Gene id → former symbols, of gene tables."""
    return {
        gene: names
        for table in tables
        for gene, names in zip(table["gene_id"], table["previous"], strict=True)
        if names
    }


def _with_effects(study: StudyData, effects: pd.DataFrame, members: pd.DataFrame) -> StudyData:
    """Give a published study's comparisons their programme effects, as the synthesis has them.

    ``effects``: contract ``blocks``, of which the claims' genes and ratios are no programmes;
    ``members``: of the complete blocks, with ``n_genes``.
    """
    key = ["programme", "block"]
    own = effects[effects["dataset"].astype(str) == study.card["id"]]
    own = own.merge(members.drop_duplicates(key)[[*key, "n_genes"]], on=key)
    shown = [*key, "stripped", "effect", "ci_low", "ci_high", "n_mapped", "n_genes"]
    parts = {str(name): part[shown] for name, part in own.groupby("contrast", observed=True)}
    return replace(
        study,
        contrasts=[replace(k, programmes=parts.get(k.meta["id"])) for k in study.contrasts],
    )


def _notes_of_run(results: Path, lost: pd.DataFrame) -> Callable[[str], dict[str, Any]]:
    """Return a function from a study to what the run noted of it: checks, failures, samples."""
    failures = {
        str(name): rows.loc[rows["reason"] != "", "reason"].unique().tolist()
        for name, rows in lost.groupby("dataset")
    }
    checks = io.read_table(results / "provenance" / "checks.tsv", CHECKS)
    account = io.read_table(results / "provenance" / "completeness.tsv", COMPLETENESS)

    def noted(name: str) -> dict[str, Any]:
        own = checks[checks["dataset"] == name]
        return {
            "checks": own,
            "failures": failures.get(name, []),
            "completeness": completeness_sentence(account[account["dataset"] == name], own),
        }

    return noted


def _gene_sets(results: Path, programmes: pd.DataFrame) -> dict[str, Mapping[str, Sequence[str]]]:
    """Return the genes of the collections that were tested; nothing when their files are gone."""
    manifest = results / "provenance" / "data" / "collections.tsv"
    try:
        texts = read_collections([manifest] if manifest.is_file() else [])
    except InputError as error:
        log.get("report").warning("gene sets cannot be opened on the pages: %s", error)
        return {}
    return {**pathways.parse_collections(texts), "programmes": as_sets(programmes)}


def _reads(results: Path, card: registry.Card) -> pd.DataFrame | None:
    """Return what is told of a study's reads, where they were quantified here."""
    import pandas as pd

    if not (name := libraries.file_of(card)):
        return None
    folder = results / "reads" / card["id"] / "quality"
    listed = libraries.of_file(card["files"][name])
    return pd.concat(
        [io.read_table(folder / f"{library}.tsv", READS) for library in listed], ignore_index=True
    )


def programme_info(notes: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return titles and caveats per programme from rows of programmes and rows of their blocks.

    ``notes``: ``programme, block, title, caveat``; an empty ``block`` stands for the programme.
    """
    info: dict[str, dict[str, Any]] = {}
    for row in notes.to_dict("records"):
        entry = info.setdefault(row["programme"], {"blocks": {}, "caveats": {}})
        if not row.get("block"):
            entry |= {"title": row["title"], "caveat": row["caveat"]}
            continue
        entry["blocks"][row["block"]] = row["title"]
        if row["caveat"]:
            entry["caveats"][row["block"]] = row["caveat"]
    return info


def _kept(cards: Mapping[str, registry.Card], outcome: pd.DataFrame) -> dict[str, registry.Card]:
    """Return the cards of what is in the results, with the contrasts that are."""
    there = outcome[outcome["kept"]]
    pairs = set(zip(there["dataset"], there["contrast"], strict=True))
    kept = {
        name: [entry for entry in card["contrasts"] if (name, entry["id"]) in pairs]
        for name, card in cards.items()
    }
    return {
        name: {**cards[name], "contrasts": entries}
        for name, entries in kept.items()
        if entries or (name, "") in pairs  # a reference compares nothing
    }


def _left_out_rows(lost: pd.DataFrame, there: Collection[str]) -> list[dict[str, str]]:
    """Return a row per study that is not in the results, and per contrast of the others."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for row in lost.to_dict("records"):
        study, part = row["dataset"], row["dataset"] in there
        how = "not admitted" if row["step"] == "data_admit" else "failed in the analysis"
        key = row["contrast"] if part else study
        rows.setdefault(
            (study, key),
            {
                "kind": "contrast" if part else "study",
                "dataset": study,
                "id": key,
                "what": f"{'one comparison' if part else 'whole study'}, {how}",
                "reason": row["reason"],
            },
        )
    return list(rows.values())


def completeness_sentence(account: pd.DataFrame, checks: pd.DataFrame) -> str:
    """Say how many samples the archive's record has, how many came and how many are analysed."""
    if account.empty:
        return ""
    number = {
        source: checks.loc[checks["check"] == f"{source}.samples"]
        for source in ("archive", "sheet")
    }
    seen = next((rows.iloc[0] for rows in number.values() if len(rows)), None)
    who = (
        "as the card says; the archive's record was not seen in this run"
        if seen is None
        else f"and the archive's {'record' if len(number['archive']) else 'own sheet'} says "
        f"{seen['found']}"
    )
    missing = account.loc[~account["analysed"]]
    text = (
        f"{len(account)} samples in the record, {who}. {int(account['obtained'].sum())} obtained, "
        f"{int(account['analysed'].sum())} analysed"
    )
    text += (
        f"; each of the other {len(missing)} has its reason in the table." if len(missing) else "."
    )
    twins = account[account["identical_to"] != ""]
    if len(twins):
        pairs = "; ".join(f"{row.sample_label} = {row.identical_to}" for row in twins.itertuples())
        text += f" Identical counts: {pairs}."
    return text


def _synthesis(results: Path, document: Mapping[str, Any], proportions: bool) -> Synthesis:
    folder = results / "synthesis"
    names = {
        "contrasts": ("contrasts.tsv", CONTRASTS),
        "claims": ("claims.tsv", CLAIMS),
        "studies": ("claim_studies.tsv", CLAIM_STUDIES),
        "programmes": ("programmes.tsv", POOLED_PROGRAMMES),
        "axis": ("denervation.tsv", DENERVATION),
        "changes": ("changes.tsv", CHANGES),
        "blocks": ("blocks.tsv", BLOCKS),
        "genes": ("genes.tsv", POOLED_GENES),
        "called_genes": ("called_genes.tsv", CALLED_GENES_ALL),
        "called_blocks": ("called_blocks.tsv", CALLED_BLOCKS_ALL),
        "agreement": ("call_agreement.tsv", CALL_AGREEMENT),
    }
    if proportions:
        names["shares"] = ("shares.tsv", SHARES)
        names["proportions"] = ("proportions.tsv", PROPORTIONS)
    tables = {key: io.read_table(folder / file, name) for key, (file, name) in names.items()}
    files = [file for file, _ in names.values()] + ["specificity.tsv"]
    return Synthesis(
        document=document,
        overall=changes.overall(tables["claims"]),
        files={Path(file).stem: _link(results, folder / file) for file in files},
        **tables,
    )


def _study(
    results: Path,
    card: registry.Card,
    settings: Mapping[str, Any],
    versions: Mapping[str, Any],
    members: pd.DataFrame,
    asked: Sequence[str],
) -> tuple[StudyData, pd.DataFrame]:
    """Return one study and its excluded samples; ``asked``: genes that claims are about."""
    import pandas as pd

    if card["modality"] == "cells":
        return _cells_study(results, card, settings, versions, members, asked)
    name = card["id"]
    folder = results / "bulk" / name
    nothing = pd.DataFrame(columns=["kind", "dataset", "id", "what", "reason"])
    if card["modality"] == "calls":  # its lists have a page of their own
        notes = io.read_table(results / "calls" / name / "imported.tsv", IMPORTED)
        return StudyData(card=doubts.on_card(card, notes), contrasts=[]), nothing
    if card["modality"] == "effects":
        contrasts = [
            _contrast(
                results,
                card,
                registry.contrast(card, entry["id"]),
                settings=settings,
                versions=versions,
                members=members,
                more={},
            )
            for entry in card["contrasts"]
        ]
        paths = [results / "bulk" / name / k.meta["id"] / "imported.tsv" for k in contrasts]
        notes = pd.concat([io.read_table(path, IMPORTED) for path in paths])
        return StudyData(card=doubts.on_card(card, notes), contrasts=contrasts), nothing
    samples = io.read_table(folder / "samples.tsv", SAMPLES)
    pca = io.read_table(folder / "pca.tsv", PCA)
    warned = io.read_table(folder / "warnings.tsv", WARNINGS)
    excluded = io.read_table(folder / "excluded.tsv", EXCLUDED)
    kind = "intensities" if card["modality"] == "array" else "counts"
    measured = io.read_h5ad(folder / f"{kind}.h5ad")
    origin = measured.uns["provenance"]
    caveats = [
        *card.get("caveats", []),
        *map(str, origin["notes"]),
        _mapping_sentence(origin, kind),
    ]
    muscle = ", ".join(sorted(set(samples["muscle"]) - {""}))
    contrasts = []
    for entry in card["contrasts"]:
        full = registry.contrast(card, entry["id"])
        more = {**doubts.of_contrast(warned, card, full["id"]), "muscle": muscle}
        contrasts.append(
            _contrast(
                results,
                card,
                full,
                settings=settings,
                versions=versions,
                members=members,
                more=more,
            )
        )
    study = StudyData(
        card={**card, "caveats": caveats, "muscle": muscle},
        samples=samples,
        qc=io.read_table(folder / "qc.tsv", QC),
        pca=pca,
        covariates=io.read_table(folder / "pca_covariates.tsv", PCA_COVARIATES),
        correlation=io.read_square(folder / "correlation.tsv"),
        explained=pca.filter(like="_explained").iloc[0].astype(float).tolist(),
        contrasts=contrasts,
        expression=_expression(measured, contrasts, kind),
        files={
            key: _link(results, folder / f"{key}.tsv") for key in ("samples", "qc", "completeness")
        },
    )
    rows = excluded.assign(kind="sample", id=excluded["sample_id"], what="sample")
    return study, rows[list(nothing)]


def _expression(
    measured: AnnData, contrasts: Sequence[ContrastData], kind: str
) -> Expression | None:
    """Return log2 expression per sample of the genes that any contrast of a study tested."""
    import numpy as np
    import pandas as pd

    tested = [k.de["gene_id"].astype(str) for k in contrasts if k.de is not None]
    chosen = measured.var_names.isin(pd.unique(pd.concat(tested))) if tested else []
    if not np.any(chosen):
        return None
    matrix = measured.X.toarray() if hasattr(measured.X, "toarray") else np.asarray(measured.X)
    values = matrix[:, chosen].astype(np.float32).T
    if kind == "counts":
        total = np.maximum(matrix.sum(axis=1, dtype=float), 1.0)
        values = np.log2(values * (1e6 / total)[None, :] + 1).astype(np.float32)
    var, obs = measured.var.loc[chosen], measured.obs.copy()
    obs.insert(0, "sample", obs.index.astype(str))
    if "sample_id" not in obs:
        obs.insert(1, "sample_id", obs["sample"])
    genes = var.index.astype(str)
    symbols = var["symbol"].astype(str).where(var["symbol"].notna() & (var["symbol"] != ""), genes)
    return Expression(
        values=values,
        genes=genes.tolist(),
        symbols=symbols.tolist(),
        samples=obs.reset_index(drop=True),
        unit="log2(counts per million + 1)" if kind == "counts" else "log2 intensity",
    )


def _imported(results: Path, card: registry.Card, key: str) -> dict[str, Any]:
    """Return what stands in doubt about a published table, and what its import said of it."""
    notes = io.read_table(results / "bulk" / card["id"] / key / "imported.tsv", IMPORTED)
    found = doubts.of_contrast(None, card, key)
    moved = notes["metric"].eq(CONTROL_PROBES) & notes["flagged"].astype(bool)
    found["marks"] += [("technical", text) for text in notes.loc[moved, "text"]]
    rest = notes[~moved].sort_values("flagged", ascending=False, kind="stable")
    return {**found, "caveat": " ".join(rest["text"])}


def _contrast(
    results: Path,
    card: registry.Card,
    contrast: Mapping[str, Any],
    *,
    settings: Mapping[str, Any],
    versions: Mapping[str, Any],
    members: pd.DataFrame,
    more: Mapping[str, Any],
) -> ContrastData:
    published = card["modality"] == "effects"
    name, key = card["id"], contrast["id"]
    tables = {
        "de": (results / "bulk" / name / key / "de.tsv", DE),
        "gsea": (results / "enrichment" / name / key / "gsea.tsv", GSEA),
    }
    omnibus = None
    if not published:
        path = results / "bulk" / name / key / "omnibus.tsv"
        tests = io.read_table(path, OMNIBUS)
        omnibus = tests if len(tests) else None
        tables["engines"] = (results / "bulk" / name / key / "engines.tsv", ENGINES)
        tables["sets"] = (results / "enrichment" / name / key / "sets.tsv", SETS)
        folder = results / "programmes" / name / key
        tables["programmes"] = (folder / "block_effects.tsv", BLOCK_EFFECTS)
        tables["scores"] = (folder / "effects.tsv", EFFECTS)
    meta = {
        **contrast,
        "simulated": card.get("simulated", False),
        "evidence": "published" if published else "computed",
        "caveat": "",
        **(_imported(results, card, key) if published else {}),
        "study_caveats": card.get("caveats", []),
        "measure": "intensities" if card["modality"] == "array" else "counts",
        "method": methods.published_sentence(card)
        if published
        else methods.array_sentence(contrast, settings)
        if card["modality"] == "array"
        else methods.contrast_sentence(contrast, settings, versions["packages"]),
        **more,
    }
    found = {table: io.read_table(*where) for table, where in tables.items()}
    if "scores" in found:
        found["programmes"] = in_gene_units(found.pop("scores"), found["programmes"])
    engines = found.get("engines")
    if engines is not None and len(engines) and meta["measure"] == "counts":
        row = engines.iloc[0]
        if "correlated" in str(row["donors"]):
            meta["method"] = methods.donors_sentence(contrast, float(row["donor_correlation"]))
    files = {table: _link(results, where[0]) for table, where in tables.items()}
    if omnibus is not None:
        files["omnibus"] = _link(results, path)
    return ContrastData(
        meta=meta,
        **found,
        drivers=drivers(found["de"], members),
        omnibus=omnibus,
        files=files,
    )


CELL_TABLES = {
    "qc": CELLS_QC,
    **{table.name: table for table in (BARCODES, CLUSTERS, MARKERS, TYPES, ACTIVITY, COEXPRESSION)},
}
PER_TYPE = {table.name: table for table in (DE, COMPOSITION, EFFECTS, BLOCK_EFFECTS)}
TABLES = "tables"
"""Folder of the report with the tables that pages link."""
MAP = ["cell", "sample_id", "condition", "cell_type", "umap1", "umap2", *PLACES]


def _cells_study(
    results: Path,
    card: registry.Card,
    settings: Mapping[str, Any],
    versions: Mapping[str, Any],
    members: pd.DataFrame,
    asked: Sequence[str],
) -> tuple[StudyData, pd.DataFrame]:
    """Return a single-cell study, one contrast per cell type, and its excluded samples."""
    import pandas as pd

    folder = results / "cells" / card["id"]
    samples = io.read_table(folder / "samples.tsv", SAMPLES)
    warned = io.read_table(folder / "warnings.tsv", WARNINGS)
    excluded = io.read_table(folder / "excluded.tsv", EXCLUDED)
    tables = {
        name: io.read_table(folder / f"{name}.tsv", kind) for name, kind in CELL_TABLES.items()
    }
    files = {
        name: _link(results, folder / f"{name}.tsv")
        for name in ("samples", "completeness", *CELL_TABLES)
    }
    contrasts, shares = [], []
    for entry in card["contrasts"]:
        full = registry.contrast(card, entry["id"])
        paths = {
            "de": folder / full["id"] / "de.tsv",
            "composition": folder / full["id"] / "composition.tsv",
            "effects": results / "programmes" / card["id"] / full["id"] / "effects.tsv",
            "block_effects": results / "programmes" / card["id"] / full["id"] / "block_effects.tsv",
        }
        found = {name: io.read_table(path, PER_TYPE[name]) for name, path in paths.items()}
        links = {name: _link(results, path) for name, path in paths.items()}
        shares.append(found["composition"])
        files |= {f"{full['id']}/{name}": link for name, link in links.items()}
        whole = in_gene_units(found["effects"], found["block_effects"])
        effects = dict(list(whole.groupby("cell_type")))
        for cell_type, de in found["de"].groupby("cell_type", sort=True):
            meta = {
                **full,
                "id": f"{full['id']}-{cell_type}",
                "contrast": full["id"],
                "contrast_label": full["label"],
                "cell_type": cell_type,
                "label": f"{cell_type}: {full['label']}",
                "target_label": full["target"],
                "reference_label": full["reference"],
                "n_target": int(de["n_target"].iloc[0]),
                "n_reference": int(de["n_reference"].iloc[0]),
                "simulated": card.get("simulated", False),
                "evidence": "computed",
                **doubts.of_contrast(warned, card, full["id"]),
                "study_caveats": card.get("caveats", []),
                "method": methods.cells_sentence(card, full, settings, versions["packages"]),
            }
            contrasts.append(
                ContrastData(
                    meta=meta,
                    de=de,
                    programmes=effects.get(cell_type),
                    drivers=drivers(de, members),
                    files={"de": links["de"], "programmes": links["block_effects"]},
                )
            )
    blocks = [f"{programme}/{block}" for programme, block in settings["report"]["headline"]]
    cells_map = io.read_parquet(folder / "map.parquet", [*MAP, *blocks])
    wanted = {*tables["markers"]["gene"], *tables["coexpression"]["gene"], *asked}
    barcodes, genes, levels = io.read_levels(folder / "cells.h5ad", wanted)
    study = StudyData(
        card={**card, "material": card["cells"]["material"]},
        samples=samples,
        contrasts=contrasts,
        cells=CellsData(
            material=card["cells"]["material"],
            map=cells_map,
            levels=Levels(genes, levels[barcodes.get_indexer(cells_map["cell"])]),
            composition=pd.concat(shares, ignore_index=True)
            if shares
            else contract_rows([], COMPOSITION),
            files=files,
            **tables,
        ),
        expression=_expression(io.read_h5ad(folder / "pseudobulk.h5ad"), contrasts, "counts"),
        files={key: files[key] for key in ("samples", "completeness")},
    )
    rows = excluded.assign(kind="sample", id=excluded["sample_id"], what="sample")
    return study, rows[["kind", "dataset", "id", "what", "reason"]]


def _link(results: Path, path: Path) -> str:
    """Address of a table as seen from the report folder, which holds a link to it."""
    return f"{TABLES}/{path.relative_to(results).as_posix()}"


def linked(data: ReportData) -> list[str]:
    """Return the tables that the pages link, as paths below the results folder.

    Below ``tables`` in the report folder they go with it, by mail or in an archive.
    """
    files = [dict(data.synthesis.files) if data.synthesis is not None else {}]
    for study in data.studies:
        files += [dict(study.files), *(dict(contrast.files) for contrast in study.contrasts)]
        files += [dict(study.cells.files)] if study.cells is not None else []
    paths = {path for part in files for path in part.values()}
    return sorted(path.removeprefix(f"{TABLES}/") for path in paths)


SMALL = 200_000
"""Bytes up to which a table goes by mail."""


def small_tables(folder: Path) -> dict[str, bytes]:
    """Return the small ones of the published tables: path below the report folder to content."""
    found = sorted(path for path in (folder / TABLES).rglob("*.tsv") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in found
        if path.stat().st_size <= SMALL
    }


def _mapping_sentence(origin: Mapping[str, Any], kind: str) -> str:
    status = {str(key): int(value) for key, value in origin["rows_by_status"].items()}
    lost = sum(status.get(key, 0) for key in ("unmapped", "ambiguous"))
    unlisted = status.get("ensembl_unlisted", 0)
    if kind == "intensities":
        return (
            f"{int(origin['rows_in_source']):,} probes; {status.get('ambiguous', 0):,} of several "
            f"genes and {status.get('unmapped', 0):,} of none that our table lists were left "
            "out; of a gene's probes the one of highest mean intensity stands for it."
        )
    return (
        f"{int(origin['rows_in_source']):,} gene rows; {lost:,} could not be mapped and "
        f"{unlisted:,} Ensembl ids are not in our table (kept under their own id); "
        f"{int(origin['rows_summed']):,} rows were summed with another row of the same gene."
    )


def _runtimes(results: Path) -> pd.DataFrame:
    """Seconds, peak memory and CPU seconds per job, from Snakemake's benchmark files."""
    import pandas as pd

    rows = []
    for path in sorted((results / "benchmarks").glob("*/*.tsv")):
        row = pd.read_csv(path, sep="\t").iloc[-1]
        rows.append(
            {
                "rule": path.parent.name,
                "job": path.stem,
                "seconds": row["s"],
                # Shared pages counted once: a study's job is two processes.
                "peak_memory_mb": row["max_pss"],
                "cpu_seconds": row["cpu_time"],
            }
        )
    return pd.DataFrame(rows, columns=["rule", "job", "seconds", "peak_memory_mb", "cpu_seconds"])
