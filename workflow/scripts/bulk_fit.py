from alsmuscle import (
    account,
    contracts,
    engines,
    identity,
    io,
    log,
    programmes,
    qc,
    registry,
    study,
    study_arrays,
)

with log.job(snakemake.log[0]) as logger:
    card, out = snakemake.params.card, snakemake.output
    manifest = io.read_table(snakemake.input.manifest, "manifest")
    read = study_arrays.read_arrays if "intensities" in card else study.read_bulk
    measured, samples, excluded = read(card, manifest)
    # A design that cannot be fitted stops the study before anything is computed.
    warnings = account.design_faults(card, measured.obs, snakemake.params.min_replicates)
    completeness = account.completeness(card, measured, excluded)
    io.write_table(out.warnings, warnings, "warnings")
    io.write_table(out.completeness, completeness, "completeness")
    io.write_table(out.samples, samples, "samples")
    io.write_table(out.excluded, excluded, "excluded")
    io.write_h5ad(out.measured, measured)

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
    io.write_h5ad(out.vst, vst)
    io.write_h5ads(out.fits, fits)

    organism, options = card["organism"], dict(snakemake.params.qc)
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
    io.write_table(out.qc, table.drop(columns=["muscle_declared", "transgenic"]), "qc")
    associations = qc.associations(pca, measured.obs, metrics)
    io.write_table(out.covariates, associations, "pca_covariates")
    io.write_table(out.pca, pca, "pca")
    io.write_square(out.correlation, correlation)
    io.write_table(out.scores, scores, "scores")
