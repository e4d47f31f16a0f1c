import pandas as pd

from alsmuscle.cells import prepare, pseudobulk, store
from alsmuscle.cells.tables import BARCODES, CELLS_QC
from alsmuscle.core import files, outcome
from alsmuscle.data import cards, study_cells
from alsmuscle.data import completeness as account
from alsmuscle.data import derived as data_derived
from alsmuscle.data.readers import sparse_counts
from alsmuscle.data.tables import COMPLETENESS, EXCLUDED, MANIFEST, SAMPLES, WARNINGS
from alsmuscle.design import checks

with outcome.job(snakemake) as logger:
    card, seed = snakemake.params.card, snakemake.params.seed
    dataset, material = card["id"], card["cells"]["material"]
    manifest = files.read_table(snakemake.input.manifest, MANIFEST)
    matrices, names, kept, excluded = study_cells.cell_samples(card, manifest)
    table = files.read_gene_table(card["organism"])
    summaries, barcodes, sums = [], [], {}

    def prepared():
        for name, sample_id in names.items():
            counts, raw = matrices.read(name)
            identity = study_cells.gene_identity(counts, table, f"{dataset}: {sample_id}")
            sample = prepare.prepare_sample(
                sparse_counts.rename_genes(counts, identity),
                raw=None if raw is None else sparse_counts.rename_genes(raw, identity),
                sample_id=sample_id,
                material=material,
                seed=seed,
                **snakemake.params.prepare,
                **snakemake.params.variable,
            )
            summaries.append(sample.summary)
            barcodes.append(prepare.count_reasons(sample.barcodes).assign(sample_id=sample_id))
            if sample.cells.n_obs:
                sums[sample_id] = pseudobulk.sum_sample(sample.cells)
            logger.info("%s: %s", sample_id, sample.summary["skipped"] or sample.cells.shape)
            yield sample

    store.write_prepared(snakemake.output.prepared, prepared())
    table = prepare.flag_samples(summaries).assign(dataset=dataset)
    files.write_table(snakemake.output.qc, table, CELLS_QC)
    whole = pseudobulk.stack_sums(sums, where=dataset)
    derived = data_derived.technical(whole)
    derived["sex_inferred"] = data_derived.sex_expression(whole, card["organism"])["sex_inferred"]
    kept = kept.set_index("sample_id", drop=False)
    used = kept.loc[list(whole.obs_names)].join(derived).reset_index(drop=True)
    skipped = table.loc[table["skipped"] != "", ["dataset", "sample_id", "skipped"]]
    skipped["sample_id"] = skipped["sample_id"].map(kept["sample_label"])
    excluded = pd.concat([excluded, skipped.rename(columns={"skipped": "reason"})])
    whole.obs = used.set_index("sample_id")
    whole.uns["provenance"] = {"columns_in_source": matrices.names}
    completeness = account.completeness(card, whole, excluded)
    warned = []
    for entry in card["contrasts"]:
        contrast = cards.contrast(card, entry["id"])
        where = f"config/datasets/{dataset}.yaml: contrasts.{entry['id']}"
        checks.check_contrast(used, contrast, where)
        warned.append(
            checks.design_warnings(
                used,
                contrast,
                dataset,
                snakemake.params.min_replicates,
                columns=card["samples"]["columns"],
            )
        )
    lost = pd.concat(barcodes, ignore_index=True).assign(dataset=dataset)
    files.write_table(snakemake.output.barcodes, lost, BARCODES)
    files.write_table(snakemake.output.samples, used, SAMPLES)
    files.write_table(snakemake.output.excluded, excluded, EXCLUDED)
    files.write_table(snakemake.output.completeness, completeness, COMPLETENESS)
    files.write_table(snakemake.output.warnings, pd.concat(warned, ignore_index=True), WARNINGS)
