# In:  reads that study cards name (ENA, or one's own files), transcripts of GENCODE.
# Out: reads/<dataset>/: reference.tsv, quality/<library>.tsv, checks/<library>.tsv. What is made of
#      a library lies in the cache (data.cache), so that reads are fetched and quantified once;
#      data_fetch puts a study's libraries together.

# A job fetches the reads of one library, quantifies and deletes them: no more than so many
# libraries' reads lie on the disk at once. `--resources reads_on_disk=1` for less.
if "reads_on_disk" not in workflow.global_resources:
    workflow.register_resource("reads_on_disk", 2)

FROM_READS, checks_of_reads = PLAN.from_reads, PLAN.checks_of_reads
READS_CARD = card_part("id", "accession", "organism", "files", "cells")


rule reads_reference:
    output:
        checks=result("reads/{dataset}/reference.tsv"),
    log:
        log_of("reads_reference", "{dataset}"),
    benchmark:
        time_of("reads_reference", "{dataset}")
    wildcard_constraints:
        dataset=one_of(FROM_READS),
    conda:
        ENVIRONMENT
    threads: 4
    resources:
        mem_mb=growing(PLAN.index_mb),
        runtime=growing(PLAN.index_minutes),
    params:
        **fetching,
        card=READS_CARD,
        last_mark=last_mark("reads_reference", "{dataset}"),
        code=code("reads_reference"),
    message:
        "{wildcards.dataset}: making the index that its reads are held against"
    script:
        "../scripts/reads_reference.py"


rule reads_quantify:
    input:
        PLAN.local_reads,
        reference=result("reads/{dataset}/reference.tsv"),
    output:
        quality=result("reads/{dataset}/quality/{library}.tsv"),
        checks=result("reads/{dataset}/checks/{library}.tsv"),
    log:
        log_of("reads_quantify", "{dataset}.{library}"),
    benchmark:
        time_of("reads_quantify", "{dataset}.{library}")
    wildcard_constraints:
        dataset=one_of(FROM_READS),
        library="[A-Za-z0-9_-]+",
    priority: PLAN.begun
    conda:
        ENVIRONMENT
    threads: 4
    resources:
        mem_mb=growing(PLAN.library_mb),
        runtime=growing(PLAN.library_minutes),
        reads_on_disk=1,
    params:
        **fetching,
        card=READS_CARD,
        last_mark=last_mark("reads_quantify", "{dataset}.{library}"),
        code=code("reads_quantify"),
    message:
        "{wildcards.dataset}: fetching and quantifying the reads of {wildcards.library}"
    script:
        "../scripts/reads_quantify.py"
