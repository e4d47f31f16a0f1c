from alsmuscle import io, log, study_effects

with log.job(snakemake.log[0]):
    manifest = io.read_table(snakemake.input.manifest, "manifest")
    imported = study_effects.read_effects(snakemake.params.card, manifest)
    io.write_table(snakemake.output.de, imported.effects, "de")
    io.write_table(snakemake.output.imported, imported.notes, "imported")
