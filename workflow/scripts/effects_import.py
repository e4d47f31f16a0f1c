from alsmuscle.core import files, outcome
from alsmuscle.data import study_effects

with outcome.job(snakemake):
    manifest = files.read_table(snakemake.input.manifest, "manifest")
    imported = study_effects.read_effects(snakemake.params.card, manifest)
    files.write_table(snakemake.output.de, imported.effects, "de")
    files.write_table(snakemake.output.imported, imported.notes, "imported")
