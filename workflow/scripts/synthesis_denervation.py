from pathlib import Path

from alsmuscle.bulk.tables import DE
from alsmuscle.core import files, log
from alsmuscle.data import cards
from alsmuscle.genesets.targets import human_ids
from alsmuscle.synthesis import denervation, targets
from alsmuscle.synthesis.tables import BLOCKS, CONTRASTS, DELTAS, DENERVATION, RANDOM_SETS

with log.job(snakemake.log[0]) as logger:
    studies, options = snakemake.params.cards, snakemake.params.fit
    contrasts = files.read_table(snakemake.input.contrasts, CONTRASTS)
    listed = files.read_plain(snakemake.input.programmes)
    document = targets.read_claims(snakemake.input.claims, listed)
    pairs = denervation.comparable_pairs(contrasts)
    matrices = {Path(path).parent.name: Path(path) for path in snakemake.input.vst}
    tables = {(Path(p).parent.parent.name, Path(p).parent.name): p for p in snakemake.input.de}

    def source(name):
        if name[0] not in matrices:
            return files.read_table(tables[name], DE)
        contrast, path = cards.contrast(studies[name[0]], name[1]), matrices[name[0]]
        fitted = files.read_h5ads(path.with_name("fits.h5"), cards.design_id(contrast))
        return denervation.refit(files.read_h5ad(path), fitted, contrast, **options)

    found = denervation.compare_with_denervation(
        {name: source(name) for name in denervation.needed_contrasts(contrasts, pairs)},
        contrasts,
        pairs,
        files.read_table(snakemake.input.blocks, BLOCKS),
        targets.members(listed, document, {card["organism"] for card in studies.values()}),
        document,
        to_human={"mouse": human_ids()},
        seed=options["seed"],
        **snakemake.params.denervation,
    )
    logger.info("%d pairs", len(found.axis))
    files.write_table(snakemake.output.axis, found.axis, DENERVATION)
    files.write_table(snakemake.output.deltas, found.deltas, DELTAS)
    files.write_table(snakemake.output.random_sets, found.random_sets, RANDOM_SETS)
