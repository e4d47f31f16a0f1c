from alsmuscle.core import contracts, files, outcome
from alsmuscle.data import admit, fetch
from alsmuscle.data.tables import CHECKS, MANIFEST

with outcome.job(snakemake) as logger:
    study, params = snakemake.wildcards.dataset, snakemake.params
    place = fetch.place(params)
    looked = [files.read_table(path, CHECKS) for path in snakemake.input.reads]
    reads = [row for table in looked for row in table.to_dict("records")]
    manifest, checks = fetch.study_files(
        params.card, cache=place.cache, mirror=place.mirror, policy=place.policy, reads=reads
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
