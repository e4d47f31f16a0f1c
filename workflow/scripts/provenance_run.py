from pathlib import Path

import pandas as pd
import yaml

from alsmuscle.core import contracts, files, log, outcome, provenance
from alsmuscle.data import completeness
from alsmuscle.data.tables import COMPLETENESS, MANIFEST

with log.job(snakemake.log[0]):
    had = outcome.sound(snakemake.input.manifests)
    manifests = [files.read_table(path, MANIFEST) for path in had]
    files.write_table(snakemake.output.lock, pd.concat(manifests, ignore_index=True), MANIFEST)
    accounts = [files.read_table(path, COMPLETENESS) for path in snakemake.input.completeness]
    every = pd.concat([contracts.rows([], COMPLETENESS), *accounts], ignore_index=True)
    files.write_table(
        snakemake.output.completeness, completeness.mark_identical(every), COMPLETENESS
    )
    files.write_text(
        snakemake.output.config,
        yaml.safe_dump(dict(snakemake.params.settings), sort_keys=False, allow_unicode=True),
    )
    files.write_json(
        snakemake.output.versions,
        {
            "commit": provenance.commit(Path(provenance.__file__).parent),
            "packages": provenance.versions(),
        },
    )
