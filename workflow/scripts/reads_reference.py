from alsmuscle.core import contracts, files, outcome
from alsmuscle.data import fetch, raw_reads
from alsmuscle.data.tables import CHECKS

with outcome.job(snakemake):
    checks = raw_reads.reference(
        snakemake.params.card, fetch.place(snakemake.params), threads=snakemake.threads
    )
    files.write_table(snakemake.output.checks, contracts.rows(checks, CHECKS), CHECKS)
