from alsmuscle.bulk import study
from alsmuscle.bulk.tables import PCA, PCA_COVARIATES, QC
from alsmuscle.core import files, outcome
from alsmuscle.data import completeness, studies, study_arrays
from alsmuscle.data.tables import COMPLETENESS, EXCLUDED, MANIFEST, SAMPLES, WARNINGS
from alsmuscle.genesets import programmes
from alsmuscle.genesets.tables import SCORES

with outcome.job(snakemake) as logger:
    card, out, params = snakemake.params.card, snakemake.output, snakemake.params
    organism, manifest = card["organism"], files.read_table(snakemake.input.manifest, MANIFEST)
    read = study_arrays.read_arrays if "intensities" in card else studies.read_bulk
    measured, samples, excluded = read(card, manifest)
    options = {**params.counts, "inference": params.inference, "threads": snakemake.threads}
    fitted = study.fit(
        card, measured, min_replicates=params.min_replicates, options=options, say=logger.info
    )
    curated, genes = files.read_plain(snakemake.input.programmes), files.read_gene_table(organism)
    panels, members = (
        files.read_plain(snakemake.input.panels),
        programmes.blocks(curated, organism, genes),
    )
    found = study.quality(
        card, measured, fitted.vst, panels=panels, members=members, limits=params.qc
    )
    account = completeness.completeness(card, measured, excluded)
    files.write_h5ad(out.measured, measured)
    files.write_h5ad(out.vst, fitted.vst)
    files.write_h5ads(out.fits, fitted.fits)
    files.write_square(out.correlation, found.correlation)
    files.write_table(out.completeness, account, COMPLETENESS)
    files.write_table(out.samples, samples, SAMPLES)
    files.write_table(out.excluded, excluded, EXCLUDED)
    files.write_table(out.warnings, fitted.warnings, WARNINGS)
    files.write_table(out.qc, found.qc, QC)
    files.write_table(out.covariates, found.covariates, PCA_COVARIATES)
    files.write_table(out.pca, found.pca, PCA)
    files.write_table(out.scores, found.scores, SCORES)
