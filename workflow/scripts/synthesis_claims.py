import pandas as pd

from alsmuscle.core import files, log
from alsmuscle.synthesis import changes, claims, targets
from alsmuscle.synthesis.tables import (
    BLOCKS,
    CALLED_BLOCKS_ALL,
    CHANGES,
    CLAIM_STUDIES,
    CLAIMS,
    CONTRASTS,
    DELTAS,
    RANDOM_SETS,
)

with log.job(snakemake.log[0]) as logger:
    contrasts = files.read_table(snakemake.input.contrasts, CONTRASTS)
    blocks = files.read_table(snakemake.input.blocks, BLOCKS)
    random_sets = files.read_table(snakemake.input.random_sets, RANDOM_SETS)
    deltas = files.read_table(snakemake.input.deltas, DELTAS)
    document = targets.read_claims(
        snakemake.input.claims, files.read_plain(snakemake.input.programmes)
    )
    current = claims.judge(
        document,
        pd.concat([blocks, random_sets], ignore_index=True) if len(random_sets) else blocks,
        contrasts,
        deltas,
        called=files.read_table(snakemake.input.called, CALLED_BLOCKS_ALL),
        rules=claims.Rules(**snakemake.params.rules),
    )
    former = changes.read_former(snakemake.output.claims)
    before = changes.read_former(snakemake.output.previous)
    previous, moved = changes.compare(current, former, before)
    logger.info("verdicts: %s", current["verdict"].value_counts().to_dict())
    studies = claims.claim_studies(document, blocks, contrasts, deltas)
    files.write_table(snakemake.output.studies, studies, CLAIM_STUDIES)
    files.write_table(snakemake.output.changes, moved, CHANGES)
    # The former verdicts first: a run that dies in between loses no comparison.
    files.write_table(snakemake.output.previous, previous, CLAIMS)
    files.write_table(snakemake.output.claims, current, CLAIMS)
