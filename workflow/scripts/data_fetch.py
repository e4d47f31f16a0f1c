import os
from dataclasses import asdict

import pandas as pd

from alsmuscle import io, log
from alsmuscle.fetch import FetchPolicy, fetch, file_name

with log.job(snakemake.log[0]):
    study = snakemake.wildcards.dataset
    cache = snakemake.params.cache
    rows = []
    for name, file in snakemake.params.files.items():
        members = file.get("members")
        fetched = fetch(
            file["url"],
            f"{cache}/{study}/{file_name(file['url'])}",
            sha256=file.get("sha256"),
            members=members,
            mirror=os.environ.get("ALSMUSCLE_MIRROR") or None,
            lock=f"{cache}/lock.tsv",
            policy=FetchPolicy(pinned_only=snakemake.params.pinned_only),
            study=study,
        )
        pinned = "file" if file.get("sha256") else "members" if members else ""
        rows.append({"study": study, "name": name, **asdict(fetched), "pinned": pinned})
    io.write_table(snakemake.output.manifest, pd.DataFrame(rows), "manifest")
