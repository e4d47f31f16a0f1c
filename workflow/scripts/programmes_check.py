from alsmuscle import io, log, programmes

with log.job(snakemake.log[0]) as logger:
    validation = programmes.validate(
        io.read_plain(snakemake.input.programmes),
        io.read_gene_table("human"),
        io.read_gene_table("mouse"),
        io.read_orthologs(),
    )
    coverage = programmes.coverage(validation)
    logger.info("%d of %d symbols mapped", validation["gene_id"].count(), len(validation))
    io.write_table(snakemake.output.coverage, coverage, "coverage")
