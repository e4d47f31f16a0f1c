from alsmuscle.bulk.tables import DE
from alsmuscle.core import files, outcome
from alsmuscle.data import collections
from alsmuscle.genesets import pathways, programmes
from alsmuscle.genesets.tables import GSEA

with outcome.job(snakemake):
    de = files.read_table(snakemake.input.de, DE)
    names = None if snakemake.params.organism == "human" else files.human_names()
    texts = collections.read_collections(snakemake.input.manifest)
    sets = pathways.parse_collections(texts)
    sets["programmes"] = programmes.as_sets(files.read_plain(snakemake.input.programmes))
    table = pathways.gsea(
        pathways.ranking(de, names=names),
        sets,
        seed=snakemake.params.seed,
        **snakemake.params.sizes,
        **snakemake.params.gsea,
    )
    for position, column in enumerate(("dataset", "contrast", "cell_type")):
        table.insert(position, column, de[column].iloc[0])
    files.write_table(snakemake.output.gsea, table, GSEA)
