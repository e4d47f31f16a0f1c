from alsmuscle import de, io, log, qc

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
    metrics, pca, correlation = qc.metrics(counts, vst, snakemake.params.organism, **size)
    io.write_table(snakemake.output.qc, qc.flag(metrics, **options), "qc")
    io.write_table(snakemake.output.pca, pca, "pca")
    io.write_square(snakemake.output.correlation, correlation)
    io.write_h5ad(snakemake.output.vst, vst)
