from alsmuscle.core import files, log, outcome
from alsmuscle.core.outcome import OUTCOME
from alsmuscle.data.tables import ADMISSION

with log.job(snakemake.log[0]):
    admission = files.read_table(snakemake.input.admission, ADMISSION)
    marks = [mark for path in snakemake.input.results if (mark := outcome.read(path))]
    found = outcome.table(snakemake.params.contrasts, admission, marks)
    outcome.require(found, snakemake.params.kinds, all_required=snakemake.params.all_required)
    files.write_table(snakemake.output.outcome, found, OUTCOME)
