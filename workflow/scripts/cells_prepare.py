from alsmuscle.cells import store, study
from alsmuscle.cells.tables import BARCODES, CELLS_QC
from alsmuscle.core import files, outcome
from alsmuscle.data import study_cells
from alsmuscle.data.tables import COMPLETENESS, EXCLUDED, MANIFEST, SAMPLES, WARNINGS

with outcome.job(snakemake) as logger:
    card, params = snakemake.params.card, snakemake.params
    manifest = files.read_table(snakemake.input.manifest, MANIFEST)
    matrices, names, kept, excluded = study_cells.cell_samples(card, manifest)
    options = {**params.prepare, **params.variable, "seed": params.seed}
    genes = files.read_gene_table(card["organism"])
    preparation = study.Preparation(card, matrices, names, genes, options=options, say=logger.info)
    store.write_prepared(snakemake.output.prepared, preparation.samples())
    found = preparation.tables(kept, excluded, min_replicates=params.min_replicates)
    contracts = {
        **{"qc": CELLS_QC, "barcodes": BARCODES, "samples": SAMPLES, "excluded": EXCLUDED},
        **{"completeness": COMPLETENESS, "warnings": WARNINGS},
    }
    for name, contract in contracts.items():
        files.write_table(snakemake.output[name], found[name], contract)
