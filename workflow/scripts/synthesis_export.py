import pandas as pd

from alsmuscle.core import contracts, files, log
from alsmuscle.synthesis import denervation, targets

with log.job(snakemake.log[0]):
    tables = [files.read_table(path, "de") for path in snakemake.input.de]
    effects = pd.concat(tables, ignore_index=True)
    files.write_parquet(
        snakemake.output.effects, denervation.with_human_ids(effects, targets.human_ids())
    )
    dictionary = denervation.dictionary(contracts.TABLES)
    files.write_table(snakemake.output.dictionary, dictionary, "dictionary")
