from alsmuscle import de, io, log, programmes

with log.job(snakemake.log[0]):
    organism, contrast = snakemake.params.organism, snakemake.params.contrast
    vst = io.read_h5ad(snakemake.input.vst)
    used = de.used_samples(vst.obs, contrast)
    target, reference = de.sides(used, contrast)
    design = de.design_matrix(used, contrast)
    members = programmes.blocks(
        io.read_plain(snakemake.input.programmes), organism, io.read_gene_table(organism)
    )
    effects = programmes.effects(
        vst.to_df().T[used.index],
        design,
        de.contrast_vector(design, contrast),
        members,
        groups=used[contrast["variable"]].where(target | reference) if contrast["block"] else None,
        tested=min(target.sum(), reference.sum()) >= snakemake.params.min_replicates,
        seed=snakemake.params.seed,
        **snakemake.params.programmes,
    )
    effects.insert(0, "dataset", snakemake.wildcards.dataset)
    effects.insert(1, "contrast", contrast["id"])
    effects.insert(2, "cell_type", "muscle")
    io.write_table(snakemake.output.effects, effects, "effects")
