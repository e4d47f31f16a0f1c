from alsmuscle import io, log, study_effects

with log.job(snakemake.log[0]) as logger:
    manifest = io.read_table(snakemake.input.manifest, "manifest")
    effects = study_effects.read_effects(snakemake.params.card, manifest)
    logger.info("%d genes", len(effects))
    io.write_table(snakemake.output.de, effects, "de")
