import pandas as pd

from alsmuscle.core import contracts, files, outcome
from alsmuscle.data import verify
from alsmuscle.data.tables import CHECKS, MANIFEST

with outcome.job(snakemake):
    fetched = files.read_table(snakemake.input.checks, CHECKS)
    manifest = files.read_table(snakemake.input.manifest, MANIFEST)
    read = verify.checks(
        snakemake.params.card,
        manifest,
        fetched,
        memory=snakemake.resources.mem_mb * 1_000_000,
        seconds=snakemake.resources.runtime * 60,
    )
    checks = pd.concat([fetched, contracts.rows(read, CHECKS)], ignore_index=True)
    files.write_table(snakemake.output.checks, checks, CHECKS)
