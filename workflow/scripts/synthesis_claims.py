import pandas as pd

from alsmuscle import claims, io, log, synthesis, synthesis_io

with log.job(snakemake.log[0]) as logger:
    contrasts = io.read_table(snakemake.input.contrasts, "contrasts")
    blocks = io.read_table(snakemake.input.blocks, "blocks")
    random_sets = io.read_table(snakemake.input.random_sets, "random_sets")
    deltas = synthesis.chosen_deltas(
        io.read_table(snakemake.input.axis, "denervation"),
        io.read_table(snakemake.input.deltas, "deltas"),
    )
    document = synthesis_io.read_claims(
        snakemake.input.claims, io.read_plain(snakemake.input.programmes)
    )
    current = synthesis.judge(
        document,
        pd.concat([blocks, random_sets], ignore_index=True) if len(random_sets) else blocks,
        contrasts,
        deltas,
        rules=claims.Rules(**snakemake.params.rules),
    )
    former = synthesis_io.read_former(snakemake.output.claims)
    before = synthesis_io.read_former(snakemake.output.previous)
    previous, changes = synthesis.compare(current, former, before)
    logger.info("verdicts: %s", current["verdict"].value_counts().to_dict())
    studies = synthesis.claim_studies(document, blocks, contrasts, deltas)
    io.write_table(snakemake.output.studies, studies, "claim_studies")
    io.write_table(snakemake.output.changes, changes, "changes")
    # The former verdicts first: a run that dies in between loses no comparison.
    io.write_table(snakemake.output.previous, previous, "claims")
    io.write_table(snakemake.output.claims, current, "claims")
