import pandas as pd

from alsmuscle.core import files, log
from alsmuscle.synthesis import denervation, targets

with log.job(snakemake.log[0]) as logger:
    contrasts = files.read_table(snakemake.input.contrasts, "contrasts")
    settings = {"rho": snakemake.params.rho, "min_studies": snakemake.params.min_studies}
    tables = pd.concat([files.read_table(path, "de") for path in snakemake.input.de])
    genes = denervation.pool_genes(tables, contrasts, {"mouse": targets.human_ids()}, **settings)
    blocks = files.read_table(snakemake.input.blocks, "blocks")
    pooled = denervation.pool_programmes(blocks, contrasts, **settings)
    logger.info("%d genes and %d blocks pooled over roles", len(genes), len(pooled))
    files.write_table(snakemake.output.genes, genes, "pooled_genes")
    files.write_table(snakemake.output.programmes, pooled, "pooled_programmes")
    files.write_table(snakemake.output.specificity, denervation.specificity(pooled), "specificity")
