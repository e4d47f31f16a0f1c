import shutil

from alsmuscle.core import outcome
from alsmuscle.data import admit

with outcome.job(snakemake):
    if admit.is_out_of_reach(snakemake.input.checks):
        # Nothing to read, and nothing loaded for it: without a network these are most studies.
        shutil.copyfile(snakemake.input.checks, snakemake.output.checks)
    else:
        import pandas as pd

        from alsmuscle.core import contracts, files
        from alsmuscle.data import verify
        from alsmuscle.data.tables import CHECKS, MANIFEST

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
