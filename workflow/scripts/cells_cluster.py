from alsmuscle import cells, cells_io, celltypes, io, log

with log.job(snakemake.log[0]) as logger:
    card = snakemake.params.card
    dataset, organism = card["id"], card["organism"]
    panel = celltypes.check_panel(io.read_plain(snakemake.input.panel), where=snakemake.input.panel)
    prepared = cells_io.read_prepared(
        snakemake.input.prepared, io.read_table(snakemake.input.qc, "cells_qc")
    )
    study = cells.integrate(
        prepared,
        io.read_table(snakemake.input.samples, "samples"),
        keep=set(panel["gene"]),
        seed=snakemake.params.seed,
        **snakemake.params.variable,
        **snakemake.params.embed,
    )
    named = celltypes.annotate(
        study,
        panel,
        organism=organism,
        material=card["cells"]["material"],
        **snakemake.params.annotate,
    )
    named["top_genes"] = celltypes.top_genes(cells.each_sample(study, prepared))
    markers = celltypes.panel_view(study, panel, organism=organism)
    logger.info("%d cells, %d clusters: %s", study.n_obs, len(named), list(named["cell_type"]))
    io.write_table(
        snakemake.output.clusters, named.reset_index().assign(dataset=dataset), "clusters"
    )
    io.write_table(snakemake.output.markers, markers.assign(dataset=dataset), "markers")
    cells_io.write_cells(snakemake.output.cells, study, cells.each_sample(study, prepared))
