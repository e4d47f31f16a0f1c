from alsmuscle import activity, by_type, cells, io, log, programmes
from alsmuscle.contracts import check_counts

with log.job(snakemake.log[0]) as logger:
    card = snakemake.params.card
    dataset, organism = card["id"], card["organism"]
    min_cells = snakemake.params.pseudobulk["min_cells"]
    study = io.read_h5ad(snakemake.input.cells)
    samples = io.read_table(snakemake.input.samples, "samples").set_index("sample_id")
    sums = cells.pseudobulk(study, whole=f"all {card['cells']['material']}", min_cells=min_cells)
    sums.uns["provenance"] = {"files": list(card["files"]), "n_cells": study.n_obs}
    types = by_type.count_types(study.obs, samples, dataset=dataset, min_cells=min_cells)
    members = programmes.blocks(
        io.read_plain(snakemake.input.programmes), organism, io.read_gene_table(organism)
    )
    scores = activity.score_cells(study, activity.signed_blocks(members))
    levels = activity.split_block(activity.activity_by_type(scores, study.obs, min_cells=min_cells))
    names = None if organism == "human" else io.human_names()
    found = activity.coexpression_by_donor(study, names=names, **snakemake.params.coexpression)
    logger.info("%d sums over %d types", sums.n_obs, sums.obs["cell_type"].nunique())
    io.write_table(snakemake.output.types, types, "types")
    io.write_table(snakemake.output.activity, levels.assign(dataset=dataset), "activity")
    io.write_table(snakemake.output.coexpression, found.assign(dataset=dataset), "coexpression")
    io.write_parquet(snakemake.output.map, activity.cell_map(study, scores))
    io.write_h5ad(snakemake.output.pseudobulk, check_counts(sums, dataset))
