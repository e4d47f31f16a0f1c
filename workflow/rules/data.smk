# In:  files named on the study cards (archive, mirror or local); for simulated studies nothing.
# Out: provenance/data/<dataset>.tsv: where each file came from, its hash, and where it lies;
#      provenance/checks/<dataset>.tsv: what the card says against what was found;
#      provenance/admission.tsv, checks.tsv: which studies take part, or why not;
#      provenance/outcome.tsv: which contrasts came through, or why not;
#      for simulated studies also the files themselves and truth/<dataset>/.


rule data_fetch:
    input:
        local_files,
        reads=checks_of_reads,
    output:
        manifest=result("provenance/data/{dataset}.tsv"),
        checks=result("provenance/fetched/{dataset}.tsv"),
    log:
        log_of("data_fetch", "{dataset}"),
    benchmark:
        time_of("data_fetch", "{dataset}")
    wildcard_constraints:
        dataset=one_of(FETCHED),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        **fetching,
        card=archive_of,
        last_mark=last_mark("data_fetch", "{dataset}"),
        code=code("data_fetch"),
    message:
        "{wildcards.dataset}: downloading and verifying its files"
    script:
        "../scripts/data_fetch.py"


rule data_verify:
    input:
        manifest=result("provenance/data/{dataset}.tsv"),
        checks=result("provenance/fetched/{dataset}.tsv"),
    output:
        checks=result("provenance/checks/{dataset}.tsv"),
    log:
        log_of("data_verify", "{dataset}"),
    benchmark:
        time_of("data_verify", "{dataset}")
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1500, per_sample=20),
        runtime=growing(10, per_sample=1),
    params:
        card=card_part(
            "id",
            "organism",
            "modality",
            "role",
            "files",
            "counts",
            "intensities",
            "cells",
            "samples",
            "effects",
            "calls",
            "contrasts",
            "archive",
        ),
        last_mark=last_mark("data_verify", "{dataset}"),
        code=code("data_verify"),
    message:
        "{wildcards.dataset}: reading its files as its card describes them"
    script:
        "../scripts/data_verify.py"


# The one place where the plan depends on data: studies that failed are not asked for any further.
# Snakemake 9.27 loses track of grouped jobs that run while a checkpoint ends (their group is merged
# anew), so that a cluster's run stops; simulated studies need no admission, but are waited for.
checkpoint data_admit:
    input:
        checks=expand(
            result("provenance/checks/{dataset}.tsv"),
            dataset=[name for name in STUDIES if name not in SIMULATED],
        ),
        simulated=expand(result("provenance/data/{dataset}.tsv"), dataset=SIMULATED),
    output:
        admission=result("provenance/admission.tsv"),
        checks=result("provenance/checks.tsv"),
    log:
        log_of("data_admit"),
    benchmark:
        time_of("data_admit")
    localrule: True
    conda:
        ENVIRONMENT
    params:
        studies=list(STUDIES),
        all_required=SETTINGS["data"]["all_required"],
        code=code("data_admit"),
    message:
        "deciding which studies take part"
    script:
        "../scripts/data_admit.py"


# The second: by now no job of a single study runs any more. Whatever reads several studies is given
# the paths of those that came through, so that it never meets the mark of a failure.
checkpoint data_outcome:
    input:
        admission=result("provenance/admission.tsv"),
        results=joined(
            of_admitted("bulk/{dataset}/{contrast}/de.tsv", BULK + PUBLISHED),
            of_admitted("enrichment/{dataset}/{contrast}/gsea.tsv", BULK + PUBLISHED),
            of_admitted("cells/{dataset}/{contrast}/de.tsv", CELLS),
            # What compares nothing ends here.
            of_admitted("bulk/{dataset}/qc.tsv", BULK),
            of_admitted("cells/{dataset}/activity.tsv", CELLS),
            of_admitted("calls/{dataset}/called.tsv", LISTS),
        ),
    output:
        outcome=result("provenance/outcome.tsv"),
    log:
        log_of("data_outcome"),
    benchmark:
        time_of("data_outcome")
    localrule: True
    conda:
        ENVIRONMENT
    params:
        contrasts={name: PLAN.parts(name) for name in STUDIES},
        kinds={
            "whole tissue": COUNTS,
            "arrays": ARRAYS,
            "cells": CELLS,
            "published effects": PUBLISHED,
            "published lists": LISTS,
        },
        all_required=SETTINGS["data"]["all_required"],
        code=code("data_outcome"),
    message:
        "gathering which studies came through"
    script:
        "../scripts/data_outcome.py"


rule data_simulate:
    input:
        reference=resource("simulation_genes.tsv.gz"),
        programmes=TABLES["programmes"],
    output:
        manifest=result("provenance/data/{dataset}.tsv"),
        counts=f"{SETTINGS['data']['cache']}/{{dataset}}/counts.tsv.gz",
        sheet=f"{SETTINGS['data']['cache']}/{{dataset}}/samples.csv",
        truth_genes=result("truth/{dataset}/genes.tsv.gz"),
        truth_blocks=result("truth/{dataset}/blocks.tsv.gz"),
        truth_samples=result("truth/{dataset}/samples.tsv.gz"),
        truth_contrasts=result("truth/{dataset}/contrasts.tsv.gz"),
    log:
        log_of("data_simulate", "{dataset}"),
    benchmark:
        time_of("data_simulate", "{dataset}")
    wildcard_constraints:
        dataset=one_of(set(SIMULATED) - set(CELLS)),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1500),
        runtime=growing(10),
    params:
        card=card_part("id", "files", "contrasts"),
        seed=SETTINGS["seed"],
        code=code("data_simulate"),
    message:
        "{wildcards.dataset}: simulating a study with a known answer"
    script:
        "../scripts/data_simulate.py"


rule data_simulate_cells:
    input:
        panel=TABLES["celltypes"],
        programmes=TABLES["programmes"],
    output:
        manifest=result("provenance/data/{dataset}.tsv"),
        counts=f"{SETTINGS['data']['cache']}/{{dataset}}/nuclei.h5ad",
        sheet=f"{SETTINGS['data']['cache']}/{{dataset}}/samples.csv",
        truth_nuclei=result("truth/{dataset}/nuclei.tsv.gz"),
        truth_genes=result("truth/{dataset}/genes.tsv.gz"),
    log:
        log_of("data_simulate_cells", "{dataset}"),
    benchmark:
        time_of("data_simulate_cells", "{dataset}")
    wildcard_constraints:
        dataset=one_of(set(SIMULATED) & set(CELLS)),
    priority: 1
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        card=card_part("id", "files"),
        seed=SETTINGS["seed"],
        code=code("data_simulate_cells"),
    message:
        "{wildcards.dataset}: simulating nuclei with a known answer"
    script:
        "../scripts/data_simulate_cells.py"
