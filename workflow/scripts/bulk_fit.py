import pandas as pd

from alsmuscle.bulk import engines, qc, swaps
from alsmuscle.bulk.tables import PCA, PCA_COVARIATES, QC
from alsmuscle.core import contracts, files, outcome
from alsmuscle.data import cards, derived, studies, study_arrays
from alsmuscle.data import completeness as account
from alsmuscle.data.tables import COMPLETENESS, EXCLUDED, MANIFEST, SAMPLES, WARNINGS
from alsmuscle.genesets import programmes, scoring
from alsmuscle.genesets.tables import SCORES

with outcome.job(snakemake) as logger:
    card, out = snakemake.params.card, snakemake.output
    manifest = files.read_table(snakemake.input.manifest, MANIFEST)
    read = study_arrays.read_arrays if "intensities" in card else studies.read_bulk
    measured, samples, excluded = read(card, manifest)
    # A design that cannot be fitted stops the study before anything is computed.
    flagged = list(measured.uns["provenance"]["flagged"])
    warnings = account.design_faults(card, measured.obs, snakemake.params.min_replicates, flagged)
    completeness = account.completeness(card, measured, excluded)
    files.write_table(out.completeness, completeness, COMPLETENESS)
    files.write_table(out.samples, samples, SAMPLES)
    files.write_table(out.excluded, excluded, EXCLUDED)
    files.write_h5ad(out.measured, measured)

    options = {
        **snakemake.params.counts,
        "inference": snakemake.params.inference,
        "threads": snakemake.threads,
    }
    fits = {}
    for name, contrasts in cards.designs(card).items():
        fits[name] = engines.fit(measured, contrasts[0], **options)
        logger.info("fitted %s: %d genes, %d samples", name, fits[name].n_vars, fits[name].n_obs)
    of_fits = engines.fit_warnings(fits, cards.designs(card), card["id"])
    warnings = pd.concat([warnings, of_fits], ignore_index=True)
    files.write_table(out.warnings, warnings, WARNINGS)
    vst = engines.expression(measured, **options)
    files.write_h5ad(out.vst, vst)
    files.write_h5ads(out.fits, fits)

    organism, options = card["organism"], dict(snakemake.params.qc)
    size = {key: options.pop(key) for key in ("n_variable_genes", "n_components")}
    panels = files.read_plain(snakemake.input.panels)
    metrics, pca, correlation = qc.metrics(measured, vst, organism, panels, **size)
    table = swaps.flag(
        qc.flag(metrics, measure=contracts.measure(measured), **options),
        measured,
        vst,
        [cards.contrast(card, entry["id"]) for entry in card["contrasts"]],
        exclude=derived.sex_gene_ids(measured, organism),
    )
    members = programmes.blocks(
        files.read_plain(snakemake.input.programmes), organism, files.read_gene_table(organism)
    )
    scores = scoring.scores(vst.to_df().T, members)
    scores.insert(0, "dataset", snakemake.wildcards.dataset)
    files.write_table(out.qc, table.drop(columns=["muscle_declared", "transgenic"]), QC)
    associations = qc.associations(pca, measured.obs, metrics)
    files.write_table(out.covariates, associations, PCA_COVARIATES)
    files.write_table(out.pca, pca, PCA)
    files.write_square(out.correlation, correlation)
    files.write_table(out.scores, scores, SCORES)
