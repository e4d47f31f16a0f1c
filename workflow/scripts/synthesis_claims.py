import pandas as pd

from alsmuscle.core import files, log
from alsmuscle.synthesis import changes, claim_studies, claims, proportions, tables, targets

with log.job(snakemake.log[0]) as logger:
    contrasts = files.read_table(snakemake.input.contrasts, tables.CONTRASTS)
    blocks = files.read_table(snakemake.input.blocks, tables.BLOCKS)
    measured = blocks
    for path in snakemake.input.proportions:
        measured = proportions.beside(blocks, files.read_table(path, tables.PROPORTIONS))
    random_sets = files.read_table(snakemake.input.random_sets, tables.RANDOM_SETS)
    deltas = files.read_table(snakemake.input.deltas, tables.DELTAS)
    document = targets.read_claims(
        snakemake.input.claims, files.read_plain(snakemake.input.programmes)
    )
    current = claims.judge(
        document,
        pd.concat([measured, random_sets], ignore_index=True) if len(random_sets) else measured,
        contrasts,
        deltas,
        called=files.read_table(snakemake.input.called, tables.CALLED_BLOCKS_ALL),
        rules=claims.Rules(**snakemake.params.rules),
    )
    former = changes.read_former(snakemake.output.claims)
    before = changes.read_former(snakemake.output.previous)
    previous, moved = changes.compare(current, former, before)
    logger.info("verdicts: %s", current["verdict"].value_counts().to_dict())
    studies = claim_studies.claim_studies(document, blocks, contrasts, deltas)
    files.write_table(snakemake.output.studies, studies, tables.CLAIM_STUDIES)
    files.write_table(snakemake.output.changes, moved, tables.CHANGES)
    # The former verdicts first: a run that dies in between loses no comparison.
    files.write_table(snakemake.output.previous, previous, tables.CLAIMS)
    files.write_table(snakemake.output.claims, current, tables.CLAIMS)
