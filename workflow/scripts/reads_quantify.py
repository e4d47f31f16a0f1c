from alsmuscle.core import contracts, files, outcome
from alsmuscle.data import admit, fetch, raw_reads
from alsmuscle.data.tables import CHECKS
from alsmuscle.reads.tables import READS

with outcome.job(snakemake):
    checks = files.read_table(snakemake.input.reference, CHECKS).to_dict("records")
    quality = []
    if not any(row["state"] in admit.BAD for row in checks):
        quality, checks = raw_reads.quantify(
            snakemake.params.card,
            snakemake.wildcards.library,
            fetch.place(snakemake.params),
            threads=snakemake.threads,
        )
    files.write_table(snakemake.output.quality, contracts.rows(quality, READS), READS)
    files.write_table(snakemake.output.checks, contracts.rows(checks, CHECKS), CHECKS)
