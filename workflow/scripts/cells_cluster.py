from alsmuscle import cells, cells_io, celltypes, io, log
from alsmuscle.contracts import check_cells

with log.job(snakemake.log[0]) as logger:
    card = snakemake.params.card
    dataset = card["id"]
    prepared = cells_io.read_prepared(
        snakemake.input.prepared, io.read_table(snakemake.input.qc, "cells_qc")
    )
    study = cells.integrate(
        prepared,
        io.read_table(snakemake.input.samples, "samples"),
        seed=snakemake.params.seed,
        **snakemake.params.variable,
        **snakemake.params.embed,
    )
    panel = celltypes.check_panel(io.read_plain(snakemake.input.panel), where=snakemake.input.panel)
    named = celltypes.annotate(
        study,
        panel,
        organism=card["organism"],
        material=card["cells"]["material"],
        **snakemake.params.annotate,
    )
    named["top_genes"] = celltypes.top_genes(study)
    markers = celltypes.panel_view(study, panel, organism=card["organism"])
    logger.info("%d cells, %d clusters: %s", study.n_obs, len(named), list(named["cell_type"]))
    io.write_table(
        snakemake.output.clusters, named.reset_index().assign(dataset=dataset), "clusters"
    )
    io.write_table(snakemake.output.markers, markers.assign(dataset=dataset), "markers")
    io.write_h5ad(snakemake.output.cells, check_cells(study, dataset))
