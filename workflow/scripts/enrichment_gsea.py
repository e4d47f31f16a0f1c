from alsmuscle import enrichment, io, log, programmes

with log.job(snakemake.log[0]):
    de = io.read_table(snakemake.input.de, "de")
    names = None if snakemake.params.organism == "human" else io.human_names()
    sets = {}
    for manifest in snakemake.input.manifest:
        texts = io.read_collections(manifest)
        sets |= {name: enrichment.parse_gmt(text) for name, text in texts.items()}
    sets["programmes"] = programmes.as_sets(io.read_plain(snakemake.input.programmes))
    table = enrichment.gsea(
        enrichment.ranking(de, names=names),
        sets,
        seed=snakemake.params.seed,
        **snakemake.params.sizes,
        **snakemake.params.gsea,
    )
    for position, column in enumerate(("dataset", "contrast", "cell_type")):
        table.insert(position, column, de[column].iloc[0])
    io.write_table(snakemake.output.gsea, table, "gsea")
