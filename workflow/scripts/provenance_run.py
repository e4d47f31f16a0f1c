from pathlib import Path

import pandas as pd
import yaml

from alsmuscle import account, contracts, io, log, provenance

with log.job(snakemake.log[0]):
    manifests = [io.read_table(path, "manifest") for path in snakemake.input.manifests]
    io.write_table(snakemake.output.lock, pd.concat(manifests, ignore_index=True), "manifest")
    accounts = [io.read_table(path, "completeness") for path in snakemake.input.completeness]
    every = pd.concat([contracts.rows([], "completeness"), *accounts], ignore_index=True)
    io.write_table(snakemake.output.completeness, account.mark_identical(every), "completeness")
    io.write_text(
        snakemake.output.config,
        yaml.safe_dump(dict(snakemake.params.settings), sort_keys=False, allow_unicode=True),
    )
    io.write_json(
        snakemake.output.versions,
        {
            "commit": provenance.commit(Path(provenance.__file__).parent),
            "packages": provenance.versions(),
        },
    )
