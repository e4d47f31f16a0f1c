from alsmuscle import contracts, engines, identity, io, log, programmes, qc, registry

with log.job(snakemake.log[0]) as logger:
    organism, card = snakemake.params.organism, snakemake.params.card
    measured = io.read_h5ad(snakemake.input.measured)
    options = {
        **snakemake.params.counts,
        "inference": snakemake.params.inference,
        "threads": snakemake.threads,
    }
    fits = {}
    for name, contrasts in registry.designs(card).items():
        fits[name] = engines.fit(measured, contrasts[0], **options)
        logger.info("fitted %s: %d genes, %d samples", name, fits[name].n_vars, fits[name].n_obs)
    vst = engines.expression(measured, **options)
    io.write_h5ad(snakemake.output.vst, vst)
    io.write_h5ads(snakemake.output.fits, fits)

    options = dict(snakemake.params.qc)
    size = {key: options.pop(key) for key in ("n_variable_genes", "n_components")}
    panels = io.read_plain(snakemake.input.panels)
    metrics, pca, correlation = qc.metrics(measured, vst, organism, panels, **size)
    table = identity.flag(
        qc.flag(metrics, measure=contracts.measure(measured), **options),
        measured,
        vst,
        [registry.contrast(card, entry["id"]) for entry in card["contrasts"]],
        exclude=qc.sex_gene_ids(measured, organism),
    )
    members = programmes.blocks(
        io.read_plain(snakemake.input.programmes), organism, io.read_gene_table(organism)
    )
    scores = programmes.scores(vst.to_df().T, members)
    scores.insert(0, "dataset", snakemake.wildcards.dataset)
    io.write_table(snakemake.output.qc, table.drop(columns=["muscle_declared", "transgenic"]), "qc")
    io.write_table(
        snakemake.output.covariates, qc.associations(pca, measured.obs, metrics), "pca_covariates"
    )
    io.write_table(snakemake.output.pca, pca, "pca")
    io.write_square(snakemake.output.correlation, correlation)
    io.write_table(snakemake.output.scores, scores, "scores")
