from pathlib import Path

from alsmuscle.core import files, log
from alsmuscle.data import cards
from alsmuscle.report import build, load, mail
from alsmuscle.synthesis import targets

with log.job(snakemake.log[0]) as logger:
    folder, settings = Path(snakemake.output.pages), snakemake.params.settings
    data = load.report_data(
        folder.parent,
        snakemake.params.cards,
        left_out=snakemake.params.left_out,
        settings=settings,
        programmes=snakemake.input.programmes,
        notes=snakemake.input.notes,
        collections=cards.load_collections(
            snakemake.input.collections, settings["enrichment"]["collections"]
        ),
        document=targets.read_claims(
            snakemake.input.claims, files.read_plain(snakemake.input.programmes)
        ),
        proportions=bool(snakemake.input.proportions),
    )
    templates = {Path(name).name: files.read_text(name) for name in snakemake.input.templates}
    pages = build.build(templates, data, threads=snakemake.threads)
    for name, content in pages.items():
        files.write_text(folder / name, content)
    for name in load.linked(data):
        files.publish(folder.parent / name, folder / load.TABLES / name)
    files.write_text(snakemake.output.mail, mail.pack(pages | load.small_tables(folder)))
    logger.info("%d files, %.1f MB", len(pages), sum(len(p) for p in pages.values()) / 1e6)
