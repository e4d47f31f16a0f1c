from pathlib import Path

import pandas as pd

from alsmuscle.cells import annotate
from alsmuscle.core import files, log
from alsmuscle.data.tables import MANIFEST
from alsmuscle.simulate import bulk, cells

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
    rows = [
        {
            "study": card["id"],
            "name": name,
            "url": card["files"][name]["url"],
            "path": snakemake.output[name],
            "sha256": files.sha256(snakemake.output[name]),
            "bytes": Path(snakemake.output[name]).stat().st_size,
            "retrieved": "",
            "source": "simulated",
            "pinned": "",
        }
        for name in ("counts", "sheet")
    ]
    files.write_table(snakemake.output.manifest, pd.DataFrame(rows), MANIFEST)
    logger.info("simulated %d barcodes, %d genes", *study.shape)
