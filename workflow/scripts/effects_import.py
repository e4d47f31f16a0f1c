from alsmuscle.bulk.tables import DE
from alsmuscle.core import files, outcome
from alsmuscle.data import published, study_effects
from alsmuscle.data.tables import IMPORTED, MANIFEST

with outcome.job(snakemake):
    manifest = files.read_table(snakemake.input.manifest, MANIFEST)
    imported = published.tested(
        study_effects.read_effects(snakemake.params.card, manifest), snakemake.params.min_replicates
    )
    files.write_table(snakemake.output.de, imported.effects, DE)
    files.write_table(snakemake.output.imported, imported.notes, IMPORTED)
