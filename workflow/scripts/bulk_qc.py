from alsmuscle import de, identity, io, log, qc, registry

with log.job(snakemake.log[0]):
    options = dict(snakemake.params.qc)
    size = {key: options.pop(key) for key in ("n_variable_genes", "n_components")}
    counts = io.read_h5ad(snakemake.input.counts)
    vst = de.vst(
        counts,
        inference=snakemake.params.inference,
        threads=snakemake.threads,
        **snakemake.params.counts,
    )
    panels = io.read_plain(snakemake.input.panels)
    metrics, pca, correlation = qc.metrics(counts, vst, snakemake.params.organism, panels, **size)
    card = snakemake.params.card
    table = identity.flag(
        qc.flag(metrics, **options),
        counts,
        vst,
        [registry.contrast(card, entry["id"]) for entry in card["contrasts"]],
        exclude=qc.sex_gene_ids(counts, snakemake.params.organism),
    )
    io.write_table(snakemake.output.qc, table.drop(columns=["muscle_declared", "transgenic"]), "qc")
    io.write_table(
        snakemake.output.covariates, qc.associations(pca, counts.obs, metrics), "pca_covariates"
    )
    io.write_table(snakemake.output.pca, pca, "pca")
    io.write_square(snakemake.output.correlation, correlation)
    io.write_h5ad(snakemake.output.vst, vst)
