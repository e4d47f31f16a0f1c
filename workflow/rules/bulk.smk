# In:  provenance/data/<dataset>.tsv and the files it names, the gene sets, config/programmes.tsv.
# Out: bulk/<dataset>/: counts.h5ad (arrays: intensities.h5ad), samples.tsv, excluded.tsv,
#      warnings.tsv, completeness.tsv, qc.tsv, pca.tsv, correlation.tsv, vst.h5ad, fits.h5;
#      programmes/<dataset>/scores.tsv; bulk/<dataset>/<contrast>/: de.tsv (also for published
#      effects), engines.tsv, omnibus.tsv; enrichment/<dataset>/<contrast>/: gsea.tsv, sets.tsv;
#      programmes/<dataset>/<contrast>/: effects.tsv, block_effects.tsv.


# What a bulk study gives beside the matrix itself.
OF_STUDY = {
    "samples": result("bulk/{dataset}/samples.tsv"),
    "excluded": result("bulk/{dataset}/excluded.tsv"),
    "completeness": result("bulk/{dataset}/completeness.tsv"),
    "warnings": report(
        result("bulk/{dataset}/warnings.tsv"),
        caption="../report/captions/bulk_warnings.rst",
        category="Studies",
        subcategory="{dataset}",
        labels={"table": "faults of the design"},
    ),
    "vst": result("bulk/{dataset}/vst.h5ad"),
    "fits": result("bulk/{dataset}/fits.h5"),
    "qc": report(
        result("bulk/{dataset}/qc.tsv"),
        caption="../report/captions/bulk_qc.rst",
        category="Studies",
        subcategory="{dataset}",
        labels={"table": "sample quality"},
    ),
    "pca": result("bulk/{dataset}/pca.tsv"),
    "covariates": result("bulk/{dataset}/pca_covariates.tsv"),
    "correlation": result("bulk/{dataset}/correlation.tsv"),
    "scores": result("programmes/{dataset}/scores.tsv"),
}


# From the files to the fit and the quality of every sample in one job: a chain, whose steps would
# each pay for imports, and for reading the matrix, more than they do.
rule bulk_fit:
    input:
        manifest=result("provenance/data/{dataset}.tsv"),
        panels=TABLES["tissues"],
        programmes=TABLES["programmes"],
    output:
        **OF_STUDY,
        measured=result("bulk/{dataset}/counts.h5ad"),
    log:
        log_of("bulk_fit", "{dataset}"),
    benchmark:
        time_of("bulk_fit", "{dataset}")
    wildcard_constraints:
        dataset=one_of(COUNTS),
    conda:
        ENVIRONMENT
    # Only the fit uses two, and it gains from about a hundred samples on (benchmarks/fit.tsv):
    # below that two studies side by side are faster.
    threads: lambda wildcards: 2 if expected_samples(wildcards) >= 100 else 1
    resources:
        mem_mb=growing(1500, per_sample=5),
        runtime=growing(30),
    params:
        card=card_part(
            *("id", "role", "organism", "files", "counts", "intensities"),
            *("samples", "contrasts"),
        ),
        min_replicates=SETTINGS["bulk"]["de"]["min_replicates"],
        counts=SETTINGS["bulk"]["counts"],
        inference=SETTINGS["bulk"]["de"]["inference"],
        qc=SETTINGS["bulk"]["qc"],
        last_mark=last_mark("bulk_fit", "{dataset}"),
        code=code("bulk_fit"),
    message:
        "{wildcards.dataset}: reading samples, fitting every gene, checking quality"
    script:
        "../scripts/bulk_fit.py"


use rule bulk_fit as bulk_fit_array with:
    output:
        **OF_STUDY,
        measured=result("bulk/{dataset}/intensities.h5ad"),
    wildcard_constraints:
        dataset=one_of(ARRAYS),


# Genes, pathways and programmes in one job: what they import and read costs more than they do.
rule bulk_contrast:
    input:
        fits=result("bulk/{dataset}/fits.h5"),
        vst=result("bulk/{dataset}/vst.h5ad"),
        manifest=[result("provenance/data/collections.tsv")] if COLLECTIONS else [],
        programmes=TABLES["programmes"],
        content=TABLES["content"],
    output:
        de=report(
            result("bulk/{dataset}/{contrast}/de.tsv"),
            caption="../report/captions/bulk_de.rst",
            category="Studies",
            subcategory="{dataset}",
            labels={"table": "genes, {contrast}"},
        ),
        engines=result("bulk/{dataset}/{contrast}/engines.tsv"),
        omnibus=result("bulk/{dataset}/{contrast}/omnibus.tsv"),
        gsea=result("enrichment/{dataset}/{contrast}/gsea.tsv"),
        sets=result("enrichment/{dataset}/{contrast}/sets.tsv"),
        effects=report(
            result("programmes/{dataset}/{contrast}/effects.tsv"),
            caption="../report/captions/programmes.rst",
            category="Studies",
            subcategory="{dataset}",
            labels={"table": "programmes, {contrast}"},
        ),
        block_effects=report(
            result("programmes/{dataset}/{contrast}/block_effects.tsv"),
            caption="../report/captions/block_effects.rst",
            category="Studies",
            subcategory="{dataset}",
            labels={
                "table": "programmes, raw and adjusted for tissue content, {contrast}"
            },
        ),
    log:
        log_of("bulk_contrast", "{dataset}.{contrast}"),
    benchmark:
        time_of("bulk_contrast", "{dataset}.{contrast}")
    wildcard_constraints:
        dataset=one_of(BULK),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1500, per_sample=3),
        runtime=growing(20),
    params:
        organism=lambda wildcards: STUDIES[wildcards.dataset]["organism"],
        contrast=contrast_of,
        de=SETTINGS["bulk"]["de"],
        arrays=SETTINGS["bulk"]["arrays"],
        enrichment={
            key: SETTINGS["enrichment"][key]
            for key in ("sizes", "gsea", "sets", "ora")
        },
        programmes=SETTINGS["programmes"],
        targets=claim_targets,
        seed=SETTINGS["seed"],
        last_mark=last_mark("bulk_contrast", "{dataset}.{contrast}"),
        code=code("bulk_contrast"),
    message:
        "{wildcards.dataset}: testing genes, pathways and programmes, {wildcards.contrast}"
    script:
        "../scripts/bulk_contrast.py"


rule effects_import:
    input:
        manifest=result("provenance/data/{dataset}.tsv"),
    output:
        de=result("bulk/{dataset}/{contrast}/de.tsv"),
        imported=result("bulk/{dataset}/{contrast}/imported.tsv"),
    log:
        log_of("effects_import", "{dataset}.{contrast}"),
    benchmark:
        time_of("effects_import", "{dataset}.{contrast}")
    wildcard_constraints:
        dataset=one_of(PUBLISHED),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1000),
        runtime=growing(5),
    params:
        card=card_part("id", "organism", "effects"),
        min_replicates=SETTINGS["bulk"]["de"]["min_replicates"],
        last_mark=last_mark("effects_import", "{dataset}.{contrast}"),
        code=code("effects_import"),
    message:
        "{wildcards.dataset}: importing published effects, {wildcards.contrast}"
    script:
        "../scripts/effects_import.py"


# All lists of a study in one job: they are rows of one file.
rule calls_import:
    input:
        manifest=result("provenance/data/{dataset}.tsv"),
        programmes=TABLES["programmes"],
        platforms=resource("platform_genes.tsv.gz"),
    output:
        called=result("calls/{dataset}/called.tsv"),
        blocks=result("calls/{dataset}/blocks.tsv"),
        imported=result("calls/{dataset}/imported.tsv"),
    log:
        log_of("calls_import", "{dataset}"),
    benchmark:
        time_of("calls_import", "{dataset}")
    wildcard_constraints:
        dataset=one_of(LISTS),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1500),
        runtime=growing(5),
    params:
        card=card_part("id", "organism", "calls"),
        last_mark=last_mark("calls_import", "{dataset}"),
        code=code("calls_import"),
    message:
        "{wildcards.dataset}: importing lists of called genes"
    script:
        "../scripts/calls_import.py"
