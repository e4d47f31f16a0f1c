from alsmuscle.bulk import contrasts, donors, tissue_content
from alsmuscle.bulk.tables import BLOCK_EFFECTS, DE, ENGINES, OMNIBUS
from alsmuscle.core import files, outcome
from alsmuscle.data import cards, collections
from alsmuscle.genesets import pathways, programmes, targets
from alsmuscle.genesets.tables import EFFECTS, GSEA, SETS

with outcome.job(snakemake):
    params, organism = snakemake.params, snakemake.params.organism
    contrast, trend = params.contrast, params.arrays["trend"]
    fitted = files.read_h5ads(snakemake.input.fits, cards.design_id(contrast))
    vst = donors.units(files.read_h5ad(snakemake.input.vst), contrast, mean=True)
    common = {"trend": trend, "threads": snakemake.threads, "options": params.de}
    dataset = snakemake.wildcards.dataset
    found = contrasts.genes(fitted, vst.obs, contrast, dataset=dataset, **common)
    for table, contract in zip(found, (DE, ENGINES, OMNIBUS), strict=True):
        files.write_table(snakemake.output[contract.name], table, contract)

    genes, curated = files.read_gene_table(organism), files.read_plain(snakemake.input.programmes)
    texts = collections.read_collections(snakemake.input.manifest)
    members = programmes.blocks(curated, organism, genes)
    tested = contrasts.sets(
        *(fitted, vst, contrast),
        # Ranked are the numbers of the table, as they are for published effects.
        files.read_table(snakemake.output.de, DE),
        collections=pathways.parse_collections(texts),
        curated=curated,
        names=vst.var["symbol"].astype(str) if organism == "human" else files.human_names(),
        members=members,
        targets=targets.with_targets(members, params.targets, organism),
        markers=tissue_content.markers(files.read_plain(snakemake.input.content), organism, genes),
        **{"trend": trend, "min_replicates": params.de["min_replicates"], "seed": params.seed},
        **{"enrichment": params.enrichment, "options": params.programmes},
    )
    for table, contract in zip(tested, (GSEA, SETS, EFFECTS, BLOCK_EFFECTS), strict=True):
        files.write_table(snakemake.output[contract.name], table, contract)
