import pandas as pd

from alsmuscle import account, de, io, log, registry, study

with log.job(snakemake.log[0]):
    card = snakemake.params.card
    manifest = io.read_table(snakemake.input.manifest, "manifest")
    counts, samples, excluded = study.read_bulk(card, manifest)
    found = []
    for entry in card["contrasts"]:
        contrast = registry.contrast(card, entry["id"])
        where = f"config/datasets/{card['id']}.yaml: contrasts.{entry['id']}"
        de.check_contrast(counts.obs, contrast, where)
        found.append(
            de.design_warnings(counts.obs, contrast, card["id"], snakemake.params.min_replicates)
        )
    completeness = account.completeness(card, counts, excluded)
    io.write_table(snakemake.output.warnings, pd.concat(found, ignore_index=True), "warnings")
    io.write_table(snakemake.output.completeness, completeness, "completeness")
    io.write_table(snakemake.output.samples, samples, "samples")
    io.write_table(snakemake.output.excluded, excluded, "excluded")
    io.write_h5ad(snakemake.output.counts, counts)
