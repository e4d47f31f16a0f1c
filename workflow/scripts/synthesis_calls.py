import pandas as pd

from alsmuscle.core import contracts, files, log
from alsmuscle.genesets import targets
from alsmuscle.synthesis.calls import agreements, with_facts

with log.job(snakemake.log[0]):
    contrasts = files.read_table(snakemake.input.contrasts, "contrasts")

    def every(paths, contract):
        tables = [files.read_table(path, contract) for path in paths]
        return pd.concat(tables, ignore_index=True) if tables else contracts.rows([], contract)

    called = every(snakemake.input.called, "called")
    genes = targets.with_human_ids(called, targets.human_ids())
    blocks = every(snakemake.input.blocks, "called_blocks")
    effects = [files.read_table(path, "de") for path in snakemake.input.de]
    files.write_table(snakemake.output.genes, with_facts(genes, contrasts), "called_genes_all")
    files.write_table(snakemake.output.blocks, with_facts(blocks, contrasts), "called_blocks_all")
    files.write_table(
        snakemake.output.agreement, agreements(called, effects, contrasts), "call_agreement"
    )
