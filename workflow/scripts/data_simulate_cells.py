from pathlib import Path

import pandas as pd

from alsmuscle import celltypes, io, log, simulate, simulate_cells

with log.job(snakemake.log[0]) as logger:
    card = snakemake.params.card
    panel = celltypes.check_panel(io.read_plain(snakemake.input.panel), where=snakemake.input.panel)
    study = simulate_cells.demo_study(
        panel,
        io.read_plain(snakemake.input.programmes),
        io.read_gene_table("human"),
        seed=snakemake.params.seed,
    )
    nuclei, genes = simulate_cells.truth_tables(study)
    io.write_h5ad(snakemake.output.counts, simulate_cells.as_deposited(study))
    sheet = study.obs[["sample_id", "subject_id", "condition", "sex"]].drop_duplicates()
    io.write_text(snakemake.output.sheet, sheet.to_csv(index=False, lineterminator="\n"))
    io.write_text(snakemake.output.truth_nuclei, simulate.packed(nuclei, "\t"))
    io.write_text(snakemake.output.truth_genes, simulate.packed(genes, "\t"))
    rows = [
        {
            "study": card["id"],
            "name": name,
            "url": card["files"][name]["url"],
            "path": snakemake.output[name],
            "sha256": io.sha256(snakemake.output[name]),
            "bytes": Path(snakemake.output[name]).stat().st_size,
            "retrieved": "",
            "source": "simulated",
            "pinned": "",
        }
        for name in ("counts", "sheet")
    ]
    io.write_table(snakemake.output.manifest, pd.DataFrame(rows), "manifest")
    logger.info("simulated %d barcodes, %d genes", *study.shape)
