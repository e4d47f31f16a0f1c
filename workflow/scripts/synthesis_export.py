import pandas as pd

from alsmuscle.bulk.tables import DE
from alsmuscle.core import files, log
from alsmuscle.genesets import targets
from alsmuscle.synthesis import dictionary
from alsmuscle.synthesis.tables import DICTIONARY

with log.job(snakemake.log[0]):
    tables = [files.read_table(path, DE) for path in snakemake.input.de]
    effects = pd.concat(tables, ignore_index=True)
    files.write_parquet(
        snakemake.output.effects, targets.with_human_ids(effects, targets.human_ids())
    )
    about = dictionary.dictionary(snakemake.input.meanings)
    files.write_table(snakemake.output.dictionary, about, DICTIONARY)
