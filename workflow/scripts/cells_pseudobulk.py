import anndata
import pandas as pd

from alsmuscle import activity, by_type, cells, cells_io, io, log, programmes
from alsmuscle.contracts import check_counts

with log.job(snakemake.log[0]) as logger:
    card = snakemake.params.card
    dataset, organism = card["id"], card["organism"]
    min_cells = snakemake.params.pseudobulk["min_cells"]
    groups = snakemake.params.coexpression
    samples = io.read_table(snakemake.input.samples, "samples").set_index("sample_id")
    members = programmes.blocks(
        io.read_plain(snakemake.input.programmes), organism, io.read_gene_table(organism)
    )
    blocks = activity.signed_blocks(members)
    names = None if organism == "human" else io.human_names()
    wanted = set(groups["targets"]).union(*groups["defining"].values())
    scored, chosen = [], []

    def parts():
        for part in cells_io.read_cells(snakemake.input.cells):
            scored.append(activity.score_cells(part, blocks))
            chosen.append(activity.select_genes(part, wanted, names=names))
            yield part

    sums = cells.pseudobulk(parts(), whole=f"all {card['cells']['material']}", min_cells=min_cells)
    study, scores = anndata.concat(chosen, merge="same"), pd.concat(scored)
    sums.uns["provenance"] = {"files": list(card["files"]), "n_cells": study.n_obs}
    types = by_type.count_types(study.obs, samples, dataset=dataset, min_cells=min_cells)
    levels = activity.split_block(activity.activity_by_type(scores, study.obs, min_cells=min_cells))
    found = activity.coexpression_by_donor(study, **groups)
    logger.info("%d sums over %d types", sums.n_obs, sums.obs["cell_type"].nunique())
    io.write_table(snakemake.output.types, types, "types")
    io.write_table(snakemake.output.activity, levels.assign(dataset=dataset), "activity")
    io.write_table(snakemake.output.coexpression, found.assign(dataset=dataset), "coexpression")
    io.write_parquet(snakemake.output.map, activity.cell_map(study, scores))
    io.write_h5ad(snakemake.output.pseudobulk, check_counts(sums, dataset))
