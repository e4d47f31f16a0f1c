import shutil

from alsmuscle.core import contracts, files, outcome
from alsmuscle.data import admit
from alsmuscle.data.tables import CHECKS, MANIFEST

with outcome.job(snakemake):
    fetched = admit.rows(snakemake.input.checks)
    if admit.out_of_reach(row["state"] for row in fetched):
        # Nothing to read, and nothing loaded for it: without a network these are most studies.
        shutil.copyfile(snakemake.input.checks, snakemake.output.checks)
    else:
        from alsmuscle.data import verify

        read = verify.checks(
            snakemake.params.card,
            files.read_table(snakemake.input.manifest, MANIFEST),
            contracts.rows(fetched, CHECKS),
            memory=snakemake.resources.mem_mb * 1_000_000,
            seconds=snakemake.resources.runtime * 60,
        )
        checks = contracts.rows([*fetched, *read], CHECKS)
        files.write_table(snakemake.output.checks, checks, CHECKS)
