import pandas as pd

from alsmuscle.bulk.tables import DE
from alsmuscle.core import files, log
from alsmuscle.genesets import targets
from alsmuscle.synthesis import pool
from alsmuscle.synthesis.pooled import Pooling
from alsmuscle.synthesis.tables import (
    BLOCKS,
    CONTRASTS,
    POOLED_GENES,
    POOLED_PROGRAMMES,
    SPECIFICITY,
)

with log.job(snakemake.log[0]) as logger:
    contrasts = files.read_table(snakemake.input.contrasts, CONTRASTS)
    settings, least = Pooling(**snakemake.params.pooling), snakemake.params.min_studies
    tables = pd.concat([files.read_table(path, DE) for path in snakemake.input.de])
    genes = pool.pool_genes(
        tables, contrasts, {"mouse": targets.human_ids()}, settings, min_studies=least
    )
    blocks = files.read_table(snakemake.input.blocks, BLOCKS)
    pooled = pool.pool_programmes(blocks, contrasts, settings, min_studies=least)
    logger.info("%d genes and %d blocks pooled over roles", len(genes), len(pooled))
    files.write_table(snakemake.output.genes, genes, POOLED_GENES)
    files.write_table(snakemake.output.programmes, pooled, POOLED_PROGRAMMES)
    files.write_table(snakemake.output.specificity, pool.specificity(pooled), SPECIFICITY)
