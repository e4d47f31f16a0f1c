from alsmuscle.bulk import block_effects, donors, engines, tissue_content
from alsmuscle.bulk.tables import BLOCK_EFFECTS, DE, ENGINES, OMNIBUS
from alsmuscle.core import files, outcome
from alsmuscle.data import cards, collections
from alsmuscle.design import matrix
from alsmuscle.genesets import block_tests, pathways, programmes, set_tests, targets
from alsmuscle.genesets.tables import EFFECTS, GSEA, SETS

with outcome.job(snakemake):
    contrast, trend = snakemake.params.contrast, snakemake.params.arrays["trend"]
    organism, seed = snakemake.params.organism, snakemake.params.seed
    fitted = files.read_h5ads(snakemake.input.fits, cards.design_id(contrast))
    vst = donors.units(files.read_h5ad(snakemake.input.vst), contrast, mean=True)
    common = {
        "dataset": snakemake.wildcards.dataset,
        "trend": trend,
        "threads": snakemake.threads,
    }
    table = engines.test(fitted, vst.obs, contrast, **common, **snakemake.params.de)
    engine, other = engines.second(fitted, vst.obs, contrast, trend=trend)
    alpha = snakemake.params.de["alpha"]
    agreement = engines.agreement(
        *(table, other),
        about=fitted.uns,
        engine=engine,
        alpha=alpha,
        leaning=engines.leaning(fitted, contrast, table, alpha=alpha),
    )
    # Small beside the imports: contrasts of one design each write the design's own.
    omnibus = engines.omnibus(fitted, vst.obs, contrast, **common, **snakemake.params.omnibus)
    files.write_table(snakemake.output.engines, agreement, ENGINES)
    files.write_table(snakemake.output.omnibus, omnibus, OMNIBUS)
    files.write_table(snakemake.output.de, table, DE)

    # Ranked is what stands in the table, as it is for published effects.
    genes = files.read_table(snakemake.output.de, DE)
    names = vst.var["symbol"].astype(str) if organism == "human" else files.human_names()
    sizes, sets = snakemake.params.sizes, {}
    for manifest in snakemake.input.manifest:
        texts = collections.read_collections(manifest)
        sets |= {name: pathways.parse_gmt(text) for name, text in texts.items()}
    curated = files.read_plain(snakemake.input.programmes)
    ranked = pathways.gsea(
        pathways.ranking(genes, names=names),
        {**sets, "programmes": programmes.as_sets(curated)},
        seed=seed,
        **sizes,
        **snakemake.params.gsea,
    )
    used = matrix.used_samples(vst.obs, contrast)
    expression = vst.to_df().T[used.index]
    design = matrix.design_matrix(used, contrast)
    vector = matrix.contrast_vector(design, contrast)
    enough = matrix.smallest_cell(used, contrast) >= snakemake.params.de["min_replicates"]
    enough, subject = enough and donors.testable(fitted), donors.subject(fitted)
    # Programmes have a table of their own, with signs and stripped versions.
    tested = set_tests.test_sets(
        *donors.independent(expression, design, subject),
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
    genes_of = files.read_gene_table(organism)
    members = programmes.blocks(curated, organism, genes_of)
    blocks = block_effects.raw_and_adjusted(
        fitted,
        contrast,
        targets.with_targets(members, snakemake.params.targets, organism),
        expression=expression,
        markers=tissue_content.markers(
            files.read_plain(snakemake.input.content), organism, genes_of
        ),
        trend=trend,
        tested=enough,
    )
    target, reference = matrix.sides(used, contrast)
    paired = contrast["block"] and contrast["kind"] == "difference"
    effects = block_tests.effects(
        expression,
        design,
        vector,
        members,
        subject=subject,
        groups=used[contrast["variable"]].where(target | reference) if paired else None,
        tested=enough,
        seed=seed,
        **snakemake.params.programmes,
    )
    if contrast["kind"] != "difference":  # no standardised difference between two groups
        effects[["hedges_g", "hedges_g_var"]] = float("nan")
    written = [(GSEA, ranked), (SETS, tested), (EFFECTS, effects), (BLOCK_EFFECTS, blocks)]
    for kind, found in written:
        for position, column in enumerate(("dataset", "contrast", "cell_type")):
            found.insert(position, column, genes[column].iloc[0])
        files.write_table(snakemake.output[kind.name], found, kind)
