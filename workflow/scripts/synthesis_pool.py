import pandas as pd

from alsmuscle.core import files, log
from alsmuscle.genesets import targets
from alsmuscle.synthesis import pool
from alsmuscle.synthesis.pooled import Pooling

with log.job(snakemake.log[0]) as logger:
    contrasts = files.read_table(snakemake.input.contrasts, "contrasts")
    settings, least = Pooling(**snakemake.params.pooling), snakemake.params.min_studies
    tables = pd.concat([files.read_table(path, "de") for path in snakemake.input.de])
    genes = pool.pool_genes(
        tables, contrasts, {"mouse": targets.human_ids()}, settings, min_studies=least
    )
    blocks = files.read_table(snakemake.input.blocks, "blocks")
    pooled = pool.pool_programmes(blocks, contrasts, settings, min_studies=least)
    logger.info("%d genes and %d blocks pooled over roles", len(genes), len(pooled))
    files.write_table(snakemake.output.genes, genes, "pooled_genes")
    files.write_table(snakemake.output.programmes, pooled, "pooled_programmes")
    files.write_table(snakemake.output.specificity, pool.specificity(pooled), "specificity")
