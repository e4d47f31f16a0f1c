import pandas as pd

from alsmuscle.core import contracts, files, log
from alsmuscle.data import admit

with log.job(snakemake.log[0]):
    tables = [admit.read_checks(path) for path in snakemake.input.checks]
    checks = pd.concat([contracts.rows([], "checks"), *tables], ignore_index=True)
    admitted = admit.admit(checks, snakemake.params.studies)
    admit.require(admitted, all_required=snakemake.params.all_required)
    files.write_table(snakemake.output.checks, checks, "checks")
    files.write_table(snakemake.output.admission, admitted, "admission")
