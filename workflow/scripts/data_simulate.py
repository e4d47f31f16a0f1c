from pathlib import Path

import pandas as pd

from alsmuscle import io, log, programmes, simulate

with log.job(snakemake.log[0]) as logger:
    card, seed = snakemake.params.card, snakemake.params.seed
    study = card["id"]
    plan = simulate.DEMO[study]
    curated = io.read_plain(snakemake.input.programmes)
    tables = {organism: io.read_gene_table(organism) for organism in ("human", "mouse")}
    biology = simulate.biology(
        io.read_plain(snakemake.input.reference),
        tables["human"],
        tables["mouse"],
        io.read_orthologs(),
        curated,
        n_genes=simulate.DEMO_GENES,
        seed=seed,
    )
    made = simulate.study(biology, plan, card["contrasts"], dataset=study, seed=seed)
    io.write_text(snakemake.output.counts, simulate.packed(made.counts.reset_index(), "\t"))
    io.write_text(snakemake.output.sheet, made.sheet.to_csv(index=False, lineterminator="\n"))
    members = programmes.blocks(curated, plan.organism, tables[plan.organism])
    truth = {
        "genes": made.genes,
        "blocks": simulate.block_truth(made.genes, members),
        "samples": made.samples,
        "contrasts": made.contrasts,
    }
    for name, table in truth.items():
        io.write_text(snakemake.output[f"truth_{name}"], simulate.packed(table, "\t"))
    rows = [
        {
            "study": study,
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
    logger.info("simulated %d genes, %d samples", *made.counts.shape)
