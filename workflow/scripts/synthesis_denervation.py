from pathlib import Path

from alsmuscle.core import files, log
from alsmuscle.data import cards as registry
from alsmuscle.synthesis import denervation, targets

with log.job(snakemake.log[0]) as logger:
    cards = snakemake.params.cards
    contrasts = files.read_table(snakemake.input.contrasts, "contrasts")
    listed = files.read_plain(snakemake.input.programmes)
    document = targets.read_claims(snakemake.input.claims, listed)
    pairs = denervation.comparable_pairs(contrasts)
    needed = denervation.needed_contrasts(contrasts, pairs)
    matrices = {Path(path).parent.name: path for path in snakemake.input.vst}
    tables = {(Path(p).parent.parent.name, Path(p).parent.name): p for p in snakemake.input.de}

    def source(name):
        if name[0] in matrices:
            return files.read_h5ad(matrices[name[0]])
        return files.read_table(tables[name], "de")

    found = denervation.compare_with_denervation(
        {name: source(name) for name in needed},
        {name: registry.contrast(cards[name[0]], name[1]) for name in needed},
        contrasts,
        pairs,
        files.read_table(snakemake.input.blocks, "blocks"),
        targets.members(listed, document, {cards[name[0]]["organism"] for name in needed}),
        document,
        to_human={"mouse": targets.human_ids()},
        seed=snakemake.params.seed,
        **snakemake.params.denervation,
    )
    logger.info("%d pairs, %d with a slope", len(found.axis), found.axis["lambda"].notna().sum())
    files.write_table(snakemake.output.axis, found.axis, "denervation")
    files.write_table(snakemake.output.deltas, found.deltas, "deltas")
    files.write_table(snakemake.output.random_sets, found.random_sets, "random_sets")
