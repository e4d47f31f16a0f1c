from alsmuscle.cells import annotate, carried, cluster, store
from alsmuscle.cells.tables import CELLS_QC, CLUSTERS, MARKERS
from alsmuscle.core import files, outcome
from alsmuscle.data.tables import SAMPLES

with outcome.job(snakemake) as logger:
    card = snakemake.params.card
    dataset, organism = card["id"], card["organism"]
    panel = annotate.check_panel(
        files.read_plain(snakemake.input.panel), where=snakemake.input.panel
    )
    prepared = store.read_prepared(
        snakemake.input.prepared, files.read_table(snakemake.input.qc, CELLS_QC)
    )
    study = cluster.integrate(
        prepared,
        files.read_table(snakemake.input.samples, SAMPLES),
        keep=set(panel["gene"]),
        seed=snakemake.params.seed,
        **snakemake.params.variable,
        **snakemake.params.embed,
    )
    named = annotate.annotate(
        study,
        panel,
        organism=organism,
        material=card["cells"]["material"],
        **snakemake.params.annotate,
    )
    parts = carried.Adding(cluster.each_sample(study, prepared))
    store.write_cells(snakemake.output.cells, study, parts)
    named["top_genes"] = annotate.top_genes(parts.sums())
    markers = annotate.panel_view(study, panel, organism=organism)
    logger.info("%d cells, %d clusters: %s", study.n_obs, len(named), list(named["cell_type"]))
    files.write_table(
        snakemake.output.clusters, named.reset_index().assign(dataset=dataset), CLUSTERS
    )
    files.write_table(snakemake.output.markers, markers.assign(dataset=dataset), MARKERS)
