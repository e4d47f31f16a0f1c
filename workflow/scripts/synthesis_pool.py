import pandas as pd

from alsmuscle import io, log, synthesis, synthesis_io

with log.job(snakemake.log[0]) as logger:
    contrasts = io.read_table(snakemake.input.contrasts, "contrasts")
    settings = {"rho": snakemake.params.rho, "min_studies": snakemake.params.min_studies}
    tables = pd.concat([io.read_table(path, "de") for path in snakemake.input.de])
    genes = synthesis.pool_genes(tables, contrasts, {"mouse": synthesis_io.human_ids()}, **settings)
    blocks = io.read_table(snakemake.input.blocks, "blocks")
    pooled = synthesis.pool_programmes(blocks, contrasts, **settings)
    logger.info("%d genes and %d blocks pooled over roles", len(genes), len(pooled))
    io.write_table(snakemake.output.genes, genes, "pooled_genes")
    io.write_table(snakemake.output.programmes, pooled, "pooled_programmes")
    io.write_table(snakemake.output.specificity, synthesis.specificity(pooled), "specificity")
