from alsmuscle import de, enrichment, io, log, programmes

with log.job(snakemake.log[0]):
    contrast, sizes = snakemake.params.contrast, snakemake.params.sizes
    vst = io.read_h5ad(snakemake.input.vst)
    genes = io.read_table(snakemake.input.de, "de")
    human = snakemake.params.organism == "human"
    names = vst.var["symbol"].astype(str) if human else io.human_names()
    sets = {}
    for manifest in snakemake.input.manifest:
        texts = io.read_collections(manifest)
        sets |= {name: enrichment.parse_gmt(text) for name, text in texts.items()}
    listed = programmes.as_sets(io.read_plain(snakemake.input.programmes))
    ranked = enrichment.gsea(
        enrichment.ranking(genes, names=names),
        {**sets, "programmes": listed},
        seed=snakemake.params.seed,
        **sizes,
        **snakemake.params.gsea,
    )
    used = de.used_samples(vst.obs, contrast)
    design = de.design_matrix(used, contrast)
    # Programmes have a table of their own, with signs and stripped versions.
    tested = enrichment.test_sets(
        vst.to_df().T[used.index],
        design,
        de.contrast_vector(design, contrast),
        genes,
        sets,
        ranked,
        names=names,
        tested=de.smallest_cell(used, contrast) >= snakemake.params.min_replicates,
        seed=snakemake.params.seed,
        **sizes,
        **snakemake.params.sets,
        **snakemake.params.ora,
    )
    for name, table in (("gsea", ranked), ("sets", tested)):
        for position, column in enumerate(("dataset", "contrast", "cell_type")):
            table.insert(position, column, genes[column].iloc[0])
        io.write_table(snakemake.output[name], table, name)
