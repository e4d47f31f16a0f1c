import pandas as pd

from alsmuscle import contracts, io, log, trial

with log.job(snakemake.log[0]):
    fetched = io.read_table(snakemake.input.checks, "checks")
    manifest = io.read_table(snakemake.input.manifest, "manifest")
    read = trial.checks(snakemake.params.card, manifest, fetched)
    checks = pd.concat([fetched, contracts.rows(read, "checks")], ignore_index=True)
    io.write_table(snakemake.output.checks, checks, "checks")
