# In:  files named on the study cards (archive, mirror or local).
# Out: provenance/data/<dataset>.tsv: where each file came from, its hash, and where it lies.


rule data_fetch:
    output:
        manifest=result("provenance/data/{dataset}.tsv"),
    log:
        log_of("data_fetch", "{dataset}"),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        files=files_of,
        cache=SETTINGS["data"]["cache"],
        pinned_only=SETTINGS["data"]["pinned_only"],
        code=code("data_fetch"),
    script:
        "../scripts/data_fetch.py"
