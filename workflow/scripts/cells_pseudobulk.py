from alsmuscle.cells import activity, contrasts, pseudobulk, store
from alsmuscle.cells.tables import ACTIVITY, COEXPRESSION, TYPES
from alsmuscle.core import files, outcome
from alsmuscle.core.contracts import check_counts
from alsmuscle.data.tables import SAMPLES
from alsmuscle.genesets import programmes

with outcome.job(snakemake) as logger:
    card = snakemake.params.card
    dataset, organism = card["id"], card["organism"]
    min_cells = snakemake.params.pseudobulk["min_cells"]
    groups = snakemake.params.coexpression
    samples = files.read_table(snakemake.input.samples, SAMPLES).set_index("sample_id")
    members = programmes.blocks(
        files.read_plain(snakemake.input.programmes), organism, files.read_gene_table(organism)
    )
    blocks = activity.signed_blocks(members)
    names = None if organism == "human" else files.human_names()
    wanted = set(groups["targets"]).union(*groups["defining"].values())
    parts = activity.Passing(store.read_cells(snakemake.input.cells), blocks, wanted, names=names)
    whole = f"all {card['cells']['material']}"
    sums = pseudobulk.pseudobulk(parts, whole=whole, min_cells=min_cells)
    study, scores = parts.kept()
    sums.uns["provenance"] = {"files": list(card["files"]), "n_cells": study.n_obs}
    types = contrasts.count_types(study.obs, samples, dataset=dataset, min_cells=min_cells)
    levels = activity.split_block(activity.activity_by_type(scores, study.obs, min_cells=min_cells))
    found = activity.coexpression_by_donor(study, **groups)
    logger.info("%d sums over %d types", sums.n_obs, sums.obs["cell_type"].nunique())
    files.write_table(snakemake.output.types, types, TYPES)
    files.write_table(snakemake.output.activity, levels.assign(dataset=dataset), ACTIVITY)
    files.write_table(snakemake.output.coexpression, found.assign(dataset=dataset), COEXPRESSION)
    files.write_parquet(snakemake.output.map, activity.cell_map(study, scores))
    files.write_h5ad(snakemake.output.pseudobulk, check_counts(sums, dataset))
