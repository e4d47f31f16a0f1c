from pathlib import Path

from alsmuscle import collect, io, log, page, registry, synthesis_io

with log.job(snakemake.log[0]) as logger:
    folder, settings = Path(snakemake.output.pages), snakemake.params.settings
    data = collect.report_data(
        folder.parent,
        snakemake.params.cards,
        left_out=snakemake.params.left_out,
        settings=settings,
        programmes=snakemake.input.programmes,
        notes=snakemake.input.notes,
        collections=registry.load_collections(
            snakemake.input.collections, settings["enrichment"]["collections"]
        ),
        document=synthesis_io.read_claims(
            snakemake.input.claims, io.read_plain(snakemake.input.programmes)
        ),
    )
    templates = {Path(name).name: io.read_text(name) for name in snakemake.input.templates}
    pages = page.build(templates, data, threads=snakemake.threads)
    for name, content in pages.items():
        io.write_text(folder / name, content)
    for name in collect.linked(data):
        io.link(folder.parent / name, folder / collect.TABLES / name)
    logger.info("%d files, %.1f MB", len(pages), sum(len(p) for p in pages.values()) / 1e6)
