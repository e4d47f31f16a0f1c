from pathlib import Path

from alsmuscle import collect, io, log, page

with log.job(snakemake.log[0]) as logger:
    index = Path(snakemake.output.index)
    data = collect.report_data(
        index.parents[1],
        snakemake.params.cards,
        left_out=snakemake.params.left_out,
        settings=snakemake.params.settings,
        programmes=snakemake.input.programmes,
        notes=snakemake.input.notes,
    )
    templates = {Path(name).name: io.read_text(name) for name in snakemake.input.templates}
    pages = page.build(templates, data)
    # The index comes last: while it is missing, the report is not done.
    for name in sorted(pages, key=lambda name: (name == index.name, name)):
        io.write_text(index.parent / name, pages[name])
    logger.info("%d files, %.1f MB", len(pages), sum(len(p) for p in pages.values()) / 1e6)
