from alsmuscle.core import files, log
from alsmuscle.genesets import programmes
from alsmuscle.genesets.tables import COVERAGE

with log.job(snakemake.log[0]) as logger:
    validation = programmes.validate(
        files.read_plain(snakemake.input.programmes),
        files.read_gene_table("human"),
        files.read_gene_table("mouse"),
        files.read_orthologs(),
    )
    coverage = programmes.coverage(validation)
    logger.info("%d of %d symbols mapped", validation["gene_id"].count(), len(validation))
    files.write_table(snakemake.output.coverage, coverage, COVERAGE)
