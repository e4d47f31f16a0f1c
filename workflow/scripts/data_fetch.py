import os

from alsmuscle.core import contracts, files, outcome
from alsmuscle.data import admit, fetch
from alsmuscle.data.tables import CHECKS, MANIFEST
from alsmuscle.download.policy import FetchPolicy

with outcome.job(snakemake) as logger:
    study, params = snakemake.wildcards.dataset, snakemake.params
    manifest, checks = fetch.study_files(
        params.card,
        cache=params.cache,
        mirror=os.environ.get("ALSMUSCLE_MIRROR") or None,
        policy=FetchPolicy(
            pinned_only=params.pinned_only,
            offline=params.offline,
            folders=tuple(params.folders),
        ),
    )
    admit.remember_failure(f"{params.cache}/{study}/unreachable", checks)
    for row in checks if study == "collections" else ():
        # A study without pathways is a study: what cannot be had is skipped, in one line.
        if row["state"] in admit.BAD:
            name = row["check"].removeprefix("files.")
            logger.warning(
                "gene sets '%s' could not be obtained and are skipped: %s", name, row["found"]
            )
    files.write_table(snakemake.output.manifest, contracts.rows(manifest, MANIFEST), MANIFEST)
    files.write_table(snakemake.output.checks, contracts.rows(checks, CHECKS), CHECKS)
