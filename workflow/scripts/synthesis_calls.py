import pandas as pd

from alsmuscle import contracts, io, log, synthesis, synthesis_io
from alsmuscle.synthesis_calls import agreements, with_facts

with log.job(snakemake.log[0]):
    contrasts = io.read_table(snakemake.input.contrasts, "contrasts")

    def every(paths, contract):
        tables = [io.read_table(path, contract) for path in paths]
        return pd.concat(tables, ignore_index=True) if tables else contracts.rows([], contract)

    called = every(snakemake.input.called, "called")
    genes = synthesis.with_human_ids(called, synthesis_io.human_ids())
    blocks = every(snakemake.input.blocks, "called_blocks")
    effects = [io.read_table(path, "de") for path in snakemake.input.de]
    io.write_table(snakemake.output.genes, with_facts(genes, contrasts), "called_genes_all")
    io.write_table(snakemake.output.blocks, with_facts(blocks, contrasts), "called_blocks_all")
    io.write_table(
        snakemake.output.agreement, agreements(called, effects, contrasts), "call_agreement"
    )
