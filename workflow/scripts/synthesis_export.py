import pandas as pd

from alsmuscle import contracts, io, log, synthesis, synthesis_io

with log.job(snakemake.log[0]):
    tables = [io.read_table(path, "de") for path in snakemake.input.de]
    effects = pd.concat(tables, ignore_index=True)
    io.write_parquet(
        snakemake.output.effects, synthesis.with_human_ids(effects, synthesis_io.human_ids())
    )
    dictionary = synthesis.dictionary(contracts.TABLES)
    io.write_table(snakemake.output.dictionary, dictionary, "dictionary")
