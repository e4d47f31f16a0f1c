import pandas as pd

from alsmuscle.core import contracts, files, log
from alsmuscle.data import admit
from alsmuscle.data.tables import ADMISSION, CHECKS

with log.job(snakemake.log[0]):
    tables = [admit.read_checks(path) for path in snakemake.input.checks]
    checks = pd.concat([contracts.rows([], CHECKS), *tables], ignore_index=True)
    admitted = admit.admit(checks, snakemake.params.studies)
    admit.require(admitted, all_required=snakemake.params.all_required)
    files.write_table(snakemake.output.checks, checks, CHECKS)
    files.write_table(snakemake.output.admission, admitted, ADMISSION)
