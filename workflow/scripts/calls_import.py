import pandas as pd

from alsmuscle.core import files, outcome
from alsmuscle.data import study_effects
from alsmuscle.data.readers import calls
from alsmuscle.data.tables import IMPORTED, MANIFEST
from alsmuscle.genesets import programmes
from alsmuscle.genesets.calls import of_contrasts
from alsmuscle.genesets.tables import CALLED, CALLED_BLOCKS

with outcome.job(snakemake) as logger:
    card = snakemake.params.card
    lists = study_effects.read_calls(card, files.read_table(snakemake.input.manifest, MANIFEST))
    called = pd.concat([found.genes for found in lists.values()], ignore_index=True)
    logger.info("%d lists, %d called genes", len(lists), len(called))
    platforms = pd.read_csv(snakemake.input.platforms, sep="\t")
    members = programmes.blocks(
        files.read_plain(snakemake.input.programmes),
        card["organism"],
        files.read_gene_table(card["organism"]),
    )
    background = calls.background(platforms, card["calls"]["background"]["platforms"])
    files.write_table(snakemake.output.called, called, CALLED)
    files.write_table(
        snakemake.output.blocks, of_contrasts(called, background, members), CALLED_BLOCKS
    )
    notes = study_effects.call_notes(lists, card["id"])
    files.write_table(snakemake.output.imported, notes, IMPORTED)
