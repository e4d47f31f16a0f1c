from alsmuscle import designs, enrichment, io, log, programmes

with log.job(snakemake.log[0]):
    contrast, sizes = snakemake.params.contrast, snakemake.params.sizes
    organism, seed = snakemake.params.organism, snakemake.params.seed
    vst = io.read_h5ad(snakemake.input.vst)
    genes = io.read_table(snakemake.input.de, "de")
    names = vst.var["symbol"].astype(str) if organism == "human" else io.human_names()
    sets = {}
    for manifest in snakemake.input.manifest:
        texts = io.read_collections(manifest)
        sets |= {name: enrichment.parse_gmt(text) for name, text in texts.items()}
    curated = io.read_plain(snakemake.input.programmes)
    ranked = enrichment.gsea(
        enrichment.ranking(genes, names=names),
        {**sets, "programmes": programmes.as_sets(curated)},
        seed=seed,
        **sizes,
        **snakemake.params.gsea,
    )
    used = designs.used_samples(vst.obs, contrast)
    expression = vst.to_df().T[used.index]
    design = designs.design_matrix(used, contrast)
    vector = designs.contrast_vector(design, contrast)
    enough = designs.smallest_cell(used, contrast) >= snakemake.params.min_replicates
    # Programmes have a table of their own, with signs and stripped versions.
    tested = enrichment.test_sets(
        expression,
        design,
        vector,
        genes,
        sets,
        ranked,
        names=names,
        tested=enough,
        seed=seed,
        **sizes,
        **snakemake.params.sets,
        **snakemake.params.ora,
    )
    target, reference = designs.sides(used, contrast)
    paired = contrast["block"] and contrast["kind"] == "difference"
    effects = programmes.effects(
        expression,
        design,
        vector,
        programmes.blocks(curated, organism, io.read_gene_table(organism)),
        groups=used[contrast["variable"]].where(target | reference) if paired else None,
        tested=enough,
        seed=seed,
        **snakemake.params.programmes,
    )
    if contrast["kind"] != "difference":  # no standardised difference between two groups
        effects[["hedges_g", "hedges_g_var"]] = float("nan")
    for name, table in (("gsea", ranked), ("sets", tested), ("effects", effects)):
        for position, column in enumerate(("dataset", "contrast", "cell_type")):
            table.insert(position, column, genes[column].iloc[0])
        io.write_table(snakemake.output[name], table, name)
