from alsmuscle import de, io, log, programmes

with log.job(snakemake.log[0]):
    organism, contrast = snakemake.params.organism, snakemake.params.contrast
    vst = io.read_h5ad(snakemake.input.vst)
    used = de.used_samples(vst.obs, contrast)
    target, reference = de.sides(used, contrast)
    paired = contrast["block"] and contrast["kind"] == "difference"
    design = de.design_matrix(used, contrast)
    members = programmes.blocks(
        io.read_plain(snakemake.input.programmes), organism, io.read_gene_table(organism)
    )
    effects = programmes.effects(
        vst.to_df().T[used.index],
        design,
        de.contrast_vector(design, contrast),
        members,
        groups=used[contrast["variable"]].where(target | reference) if paired else None,
        tested=de.smallest_cell(used, contrast) >= snakemake.params.min_replicates,
        seed=snakemake.params.seed,
        **snakemake.params.programmes,
    )
    if contrast["kind"] != "difference":  # no standardised difference between two groups
        effects[["hedges_g", "hedges_g_var"]] = float("nan")
    effects.insert(0, "dataset", snakemake.wildcards.dataset)
    effects.insert(1, "contrast", contrast["id"])
    effects.insert(2, "cell_type", "muscle")
    io.write_table(snakemake.output.effects, effects, "effects")
