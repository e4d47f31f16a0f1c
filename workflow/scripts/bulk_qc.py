from alsmuscle import contracts, engines, identity, io, log, qc, registry

with log.job(snakemake.log[0]):
    options = dict(snakemake.params.qc)
    size = {key: options.pop(key) for key in ("n_variable_genes", "n_components")}
    measured = io.read_h5ad(snakemake.input.measured)
    vst = engines.expression(
        measured,
        inference=snakemake.params.inference,
        threads=snakemake.threads,
        **snakemake.params.counts,
    )
    panels = io.read_plain(snakemake.input.panels)
    metrics, pca, correlation = qc.metrics(measured, vst, snakemake.params.organism, panels, **size)
    card = snakemake.params.card
    table = identity.flag(
        qc.flag(metrics, measure=contracts.measure(measured), **options),
        measured,
        vst,
        [registry.contrast(card, entry["id"]) for entry in card["contrasts"]],
        exclude=qc.sex_gene_ids(measured, snakemake.params.organism),
    )
    io.write_table(snakemake.output.qc, table.drop(columns=["muscle_declared", "transgenic"]), "qc")
    io.write_table(
        snakemake.output.covariates, qc.associations(pca, measured.obs, metrics), "pca_covariates"
    )
    io.write_table(snakemake.output.pca, pca, "pca")
    io.write_square(snakemake.output.correlation, correlation)
    io.write_h5ad(snakemake.output.vst, vst)
