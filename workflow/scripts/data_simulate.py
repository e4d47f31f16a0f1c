from alsmuscle.core import files, log
from alsmuscle.data.tables import MANIFEST
from alsmuscle.genesets import programmes
from alsmuscle.simulate import bulk, deposit

with log.job(snakemake.log[0]) as logger:
    card, seed = snakemake.params.card, snakemake.params.seed
    study = card["id"]
    plan = bulk.DEMO[study]
    curated = files.read_plain(snakemake.input.programmes)
    tables = {organism: files.read_gene_table(organism) for organism in ("human", "mouse")}
    biology = bulk.biology(
        files.read_plain(snakemake.input.reference),
        tables["human"],
        tables["mouse"],
        files.read_orthologs(),
        curated,
        n_genes=bulk.DEMO_GENES,
        seed=seed,
    )
    made = bulk.study(biology, plan, card["contrasts"], dataset=study, seed=seed)
    files.write_text(snakemake.output.counts, bulk.packed(made.counts.reset_index(), "\t"))
    files.write_text(snakemake.output.sheet, made.sheet.to_csv(index=False, lineterminator="\n"))
    members = programmes.blocks(curated, plan.organism, tables[plan.organism])
    truth = {
        "genes": made.genes,
        "blocks": bulk.block_truth(made.genes, members),
        "samples": made.samples,
        "contrasts": made.contrasts,
    }
    for name, table in truth.items():
        files.write_text(snakemake.output[f"truth_{name}"], bulk.packed(table, "\t"))
    made_files = {name: snakemake.output[name] for name in ("counts", "sheet")}
    manifest = deposit.manifest(card, made_files)
    files.write_table(snakemake.output.manifest, manifest, MANIFEST)
    logger.info("simulated %d genes, %d samples", *made.counts.shape)
