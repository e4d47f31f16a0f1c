from alsmuscle import genes, io, log, published

with log.job(snakemake.log[0]) as logger:
    card = snakemake.params.card
    spec = card["effects"]
    path = io.cached(io.read_table(snakemake.input.manifest, "manifest"), spec["file"])
    table = io.read_effects(path, spec)
    identity = genes.identify(
        table[spec["gene_column"]], io.read_gene_table(card["organism"]), where=path
    )
    effects = published.effects(table, identity, spec, dataset=card["id"], where=str(path))
    logger.info("%d rows, %d genes", len(table), len(effects))
    io.write_table(snakemake.output.de, effects, "de")
