import pandas as pd

from alsmuscle import admission, contracts, io, log

with log.job(snakemake.log[0]):
    tables = [io.read_table(path, "checks") for path in snakemake.input.checks]
    checks = pd.concat([contracts.rows([], "checks"), *tables], ignore_index=True)
    admitted = admission.admit(checks, snakemake.params.studies)
    admission.require(admitted, all_required=snakemake.params.all_required)
    io.write_table(snakemake.output.checks, checks, "checks")
    io.write_table(snakemake.output.admission, admitted, "admission")
