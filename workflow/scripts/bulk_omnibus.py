import pandas as pd

from alsmuscle import engines, io, log, registry

with log.job(snakemake.log[0]) as logger:
    card, obs = snakemake.params.card, io.read_h5ad(snakemake.input.measured).obs
    tables = [
        engines.omnibus(
            io.read_h5ads(snakemake.input.fits, name),
            obs,
            contrasts[0],
            dataset=card["id"],
            **snakemake.params.de,
            **snakemake.params.arrays,
        )
        for name, contrasts in registry.designs(card).items()
    ]
    found = pd.concat(tables, ignore_index=True)
    logger.info("%d tests", found[["design", "test"]].drop_duplicates().shape[0])
    io.write_table(snakemake.output.omnibus, found, "omnibus")
