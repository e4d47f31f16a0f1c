from alsmuscle import contracts, identity, io, log, programmes, qc, registry

with log.job(snakemake.log[0]):
    organism, card = snakemake.params.organism, snakemake.params.card
    options = dict(snakemake.params.qc)
    size = {key: options.pop(key) for key in ("n_variable_genes", "n_components")}
    measured = io.read_h5ad(snakemake.input.measured)
    vst = io.read_h5ad(snakemake.input.vst)
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
