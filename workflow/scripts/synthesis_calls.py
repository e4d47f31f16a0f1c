import pandas as pd

from alsmuscle.bulk.tables import DE
from alsmuscle.core import contracts, files, log
from alsmuscle.genesets import targets
from alsmuscle.genesets.tables import CALLED, CALLED_BLOCKS
from alsmuscle.synthesis.calls import agreements, with_facts
from alsmuscle.synthesis.tables import (
    CALL_AGREEMENT,
    CALLED_BLOCKS_ALL,
    CALLED_GENES_ALL,
    CONTRASTS,
)

with log.job(snakemake.log[0]):
    contrasts = files.read_table(snakemake.input.contrasts, CONTRASTS)

    def every(paths, contract):
        tables = [files.read_table(path, contract) for path in paths]
        return pd.concat(tables, ignore_index=True) if tables else contracts.rows([], contract)

    called = every(snakemake.input.called, CALLED)
    genes = targets.with_human_ids(called, targets.human_ids())
    blocks = every(snakemake.input.blocks, CALLED_BLOCKS)
    effects = [files.read_table(path, DE) for path in snakemake.input.de]
    files.write_table(snakemake.output.genes, with_facts(genes, contrasts), CALLED_GENES_ALL)
    files.write_table(snakemake.output.blocks, with_facts(blocks, contrasts), CALLED_BLOCKS_ALL)
    files.write_table(
        snakemake.output.agreement, agreements(called, effects, contrasts), CALL_AGREEMENT
    )
