import pandas as pd

from alsmuscle import account, de, io, log, registry

with log.job(snakemake.log[0]):
    card = snakemake.params.card
    counts = io.read_h5ad(snakemake.input.counts)
    samples = counts.obs
    found = []
    for entry in card["contrasts"]:
        contrast = registry.contrast(card, entry["id"])
        where = f"config/datasets/{card['id']}.yaml: contrasts.{entry['id']}"
        de.check_contrast(samples, contrast, where)
        found.append(
            de.design_warnings(samples, contrast, card["id"], snakemake.params.min_replicates)
        )
    excluded = io.read_table(snakemake.input.excluded, "excluded")
    completeness = account.completeness(card, counts, excluded)
    io.write_table(snakemake.output.completeness, completeness, "completeness")
    io.write_table(snakemake.output.warnings, pd.concat(found, ignore_index=True), "warnings")
