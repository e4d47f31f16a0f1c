import pandas as pd

from alsmuscle.core import files, log
from alsmuscle.synthesis import claims, denervation, targets

with log.job(snakemake.log[0]) as logger:
    contrasts = files.read_table(snakemake.input.contrasts, "contrasts")
    blocks = files.read_table(snakemake.input.blocks, "blocks")
    random_sets = files.read_table(snakemake.input.random_sets, "random_sets")
    deltas = denervation.chosen_deltas(
        files.read_table(snakemake.input.axis, "denervation"),
        files.read_table(snakemake.input.deltas, "deltas"),
    )
    document = targets.read_claims(
        snakemake.input.claims, files.read_plain(snakemake.input.programmes)
    )
    current = denervation.judge(
        document,
        pd.concat([blocks, random_sets], ignore_index=True) if len(random_sets) else blocks,
        contrasts,
        deltas,
        rules=claims.Rules(**snakemake.params.rules),
    )
    former = targets.read_former(snakemake.output.claims)
    before = targets.read_former(snakemake.output.previous)
    previous, changes = denervation.compare(current, former, before)
    logger.info("verdicts: %s", current["verdict"].value_counts().to_dict())
    studies = denervation.claim_studies(document, blocks, contrasts, deltas)
    files.write_table(snakemake.output.studies, studies, "claim_studies")
    files.write_table(snakemake.output.changes, changes, "changes")
    # The former verdicts first: a run that dies in between loses no comparison.
    files.write_table(snakemake.output.previous, previous, "claims")
    files.write_table(snakemake.output.claims, current, "claims")
