from pathlib import Path

from alsmuscle.bulk import proportions as bulk
from alsmuscle.core import files, log
from alsmuscle.data.tables import SAMPLES
from alsmuscle.genesets import programmes
from alsmuscle.genesets.targets import with_targets
from alsmuscle.synthesis import proportions
from alsmuscle.synthesis.tables import CONTRASTS, PROPORTIONS, SHARES

with log.job(snakemake.log[0]) as logger:
    inputs, params, studies = snakemake.input, snakemake.params, snakemake.params.cards
    listed, panel = files.read_plain(inputs.programmes), files.read_plain(inputs.celltypes)
    fits = {Path(path).parent.name: path for path in inputs.fits}
    samples = {Path(path).parent.name: path for path in inputs.samples}
    references = []
    for path in inputs.pseudobulk:
        name = Path(path).parent.name
        sums, contrasts = files.read_h5ad(path), studies[name]["contrasts"]
        references.append(bulk.reference(sums, contrasts, panel, dataset=name))
        logger.info("%s: %d donors; %s", name, references[-1].donors, references[-1].reason)
    members = {
        name: with_targets(
            programmes.blocks(listed, name, files.read_gene_table(name)), params.targets, name
        )
        for name in sorted({studies[name]["organism"] for name in fits})
    }
    read = proportions.Sources(
        fit=lambda study, design: files.read_h5ads(fits[study], design),
        samples=lambda study: files.read_table(samples[study], SAMPLES),
    )
    table = files.read_table(inputs.contrasts, CONTRASTS)
    table = table[table["dataset"].isin(list(fits))]
    least = {"min_replicates": params.min_replicates}
    found = proportions.adjusted(references, studies, table, read, members, **least)
    logger.info("%s", found.effects.groupby(["dataset", "contrast", "reason"]).size().to_dict())
    files.write_table(snakemake.output.shares, found.shares, SHARES)
    files.write_table(snakemake.output.proportions, found.effects, PROPORTIONS)
