from alsmuscle.core import files, log
from alsmuscle.data import study_effects

with log.job(snakemake.log[0]):
    manifest = files.read_table(snakemake.input.manifest, "manifest")
    imported = study_effects.read_effects(snakemake.params.card, manifest)
    files.write_table(snakemake.output.de, imported.effects, "de")
    files.write_table(snakemake.output.imported, imported.notes, "imported")
