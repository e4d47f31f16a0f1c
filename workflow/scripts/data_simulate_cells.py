from alsmuscle.cells import annotate
from alsmuscle.core import files, log
from alsmuscle.data.tables import MANIFEST
from alsmuscle.simulate import bulk, cells, deposit

with log.job(snakemake.log[0]) as logger:
    card = snakemake.params.card
    panel = annotate.check_panel(
        files.read_plain(snakemake.input.panel), where=snakemake.input.panel
    )
    study = cells.demo_study(
        panel,
        files.read_plain(snakemake.input.programmes),
        files.read_gene_table("human"),
        seed=snakemake.params.seed,
    )
    nuclei, genes = cells.truth_tables(study)
    files.write_h5ad(snakemake.output.counts, cells.as_deposited(study))
    sheet = study.obs[["sample_id", "subject_id", "condition", "sex"]].drop_duplicates()
    files.write_text(snakemake.output.sheet, sheet.to_csv(index=False, lineterminator="\n"))
    files.write_text(snakemake.output.truth_nuclei, bulk.packed(nuclei, "\t"))
    files.write_text(snakemake.output.truth_genes, bulk.packed(genes, "\t"))
    made_files = {name: snakemake.output[name] for name in ("counts", "sheet")}
    manifest = deposit.manifest(card, made_files)
    files.write_table(snakemake.output.manifest, manifest, MANIFEST)
    logger.info("simulated %d barcodes, %d genes", *study.shape)
