from alsmuscle import io, log, programmes

with log.job(snakemake.log[0]):
    organism = snakemake.params.organism
    vst = io.read_h5ad(snakemake.input.vst)
    members = programmes.blocks(
        io.read_plain(snakemake.input.programmes), organism, io.read_gene_table(organism)
    )
    scores = programmes.scores(vst.to_df().T, members)
    scores.insert(0, "dataset", snakemake.wildcards.dataset)
    io.write_table(snakemake.output.scores, scores, "scores")
