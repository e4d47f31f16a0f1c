from pathlib import Path

from alsmuscle import io, log, registry, synthesis, synthesis_io

with log.job(snakemake.log[0]) as logger:
    cards = snakemake.params.cards
    contrasts = io.read_table(snakemake.input.contrasts, "contrasts")
    listed = io.read_plain(snakemake.input.programmes)
    document = synthesis_io.read_claims(snakemake.input.claims, listed)
    pairs = synthesis.comparable_pairs(contrasts)
    needed = synthesis.needed_contrasts(contrasts, pairs)
    matrices = {Path(path).parent.name: path for path in snakemake.input.vst}
    tables = {(Path(p).parent.parent.name, Path(p).parent.name): p for p in snakemake.input.de}

    def source(name):
        if name[0] in matrices:
            return io.read_h5ad(matrices[name[0]])
        return io.read_table(tables[name], "de")

    found = synthesis.compare_with_denervation(
        {name: source(name) for name in needed},
        {name: registry.contrast(cards[name[0]], name[1]) for name in needed},
        contrasts,
        pairs,
        io.read_table(snakemake.input.blocks, "blocks"),
        synthesis_io.members(listed, document, {cards[name[0]]["organism"] for name in needed}),
        document,
        to_human={"mouse": synthesis_io.human_ids()},
        seed=snakemake.params.seed,
        **snakemake.params.denervation,
    )
    logger.info("%d pairs, %d with a slope", len(found.axis), found.axis["lambda"].notna().sum())
    io.write_table(snakemake.output.axis, found.axis, "denervation")
    io.write_table(snakemake.output.deltas, found.deltas, "deltas")
    io.write_table(snakemake.output.random_sets, found.random_sets, "random_sets")
