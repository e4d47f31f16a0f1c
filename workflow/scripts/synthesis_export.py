import pandas as pd

from alsmuscle.core import contracts, files, log
from alsmuscle.genesets import targets
from alsmuscle.synthesis import dictionary

with log.job(snakemake.log[0]):
    tables = [files.read_table(path, "de") for path in snakemake.input.de]
    effects = pd.concat(tables, ignore_index=True)
    files.write_parquet(
        snakemake.output.effects, targets.with_human_ids(effects, targets.human_ids())
    )
    about = dictionary.dictionary(contracts.TABLES)
    files.write_table(snakemake.output.dictionary, about, "dictionary")
