# In:  provenance/data/<dataset>.tsv and the files it names, the gene sets, config/programmes.tsv.
# Out: bulk/<dataset>/: counts.h5ad (arrays: intensities.h5ad), samples.tsv, excluded.tsv, warnings.tsv, completeness.tsv, qc.tsv, pca.tsv,
#      correlation.tsv, vst.h5ad, fits.h5; programmes/<dataset>/scores.tsv; bulk/<dataset>/<contrast>/: de.tsv (also
#      for published effects), engines.tsv, omnibus.tsv; enrichment/<dataset>/<contrast>/: gsea.tsv, sets.tsv;
#      programmes/<dataset>/<contrast>/effects.tsv.


rule bulk_counts:
    input:
        manifest=result("provenance/data/{dataset}.tsv"),
    output:
        counts=result("bulk/{dataset}/counts.h5ad"),
        samples=result("bulk/{dataset}/samples.tsv"),
        excluded=result("bulk/{dataset}/excluded.tsv"),
        completeness=result("bulk/{dataset}/completeness.tsv"),
        # A design that cannot be fitted stops the study before anything is computed.
        warnings=report(
            result("bulk/{dataset}/warnings.tsv"),
            caption="../report/captions/bulk_counts.rst",
            category="Studies",
            subcategory="{dataset}",
            labels={"table": "faults of the design"},
        ),
    log:
        log_of("bulk_counts", "{dataset}"),
    benchmark:
        time_of("bulk_counts", "{dataset}")
    wildcard_constraints:
        dataset=one_of(COUNTS),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1000, per_sample=3),
        runtime=growing(10),
    params:
        card=card_part(
            "id", "role", "organism", "files", "counts", "samples", "contrasts"
        ),
        min_replicates=SETTINGS["bulk"]["de"]["min_replicates"],
        code=code("bulk_counts"),
    message:
        "{wildcards.dataset}: reading counts and samples, and whether groups can be compared"
    script:
        "../scripts/bulk_counts.py"


rule bulk_intensities:
    input:
        manifest=result("provenance/data/{dataset}.tsv"),
    output:
        intensities=result("bulk/{dataset}/intensities.h5ad"),
        samples=result("bulk/{dataset}/samples.tsv"),
        excluded=result("bulk/{dataset}/excluded.tsv"),
        completeness=result("bulk/{dataset}/completeness.tsv"),
        warnings=report(
            result("bulk/{dataset}/warnings.tsv"),
            caption="../report/captions/bulk_counts.rst",
            category="Studies",
            subcategory="{dataset}",
            labels={"table": "faults of the design"},
        ),
    log:
        log_of("bulk_intensities", "{dataset}"),
    benchmark:
        time_of("bulk_intensities", "{dataset}")
    wildcard_constraints:
        dataset=one_of(ARRAYS),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1500, per_sample=5),
        runtime=growing(10),
    params:
        card=card_part(
            "id", "role", "organism", "files", "intensities", "samples", "contrasts"
        ),
        min_replicates=SETTINGS["bulk"]["de"]["min_replicates"],
        code=code("bulk_intensities"),
    message:
        "{wildcards.dataset}: reading intensities and samples, and whether groups can be compared"
    script:
        "../scripts/bulk_intensities.py"


# The fit, the quality and the programme scores of every sample in one job: all need the matrix.
rule bulk_fit:
    input:
        measured=measured,
        panels="config/tissues.tsv",
        programmes="config/programmes.tsv",
    output:
        vst=result("bulk/{dataset}/vst.h5ad"),
        fits=result("bulk/{dataset}/fits.h5"),
        qc=report(
            result("bulk/{dataset}/qc.tsv"),
            caption="../report/captions/bulk_qc.rst",
            category="Studies",
            subcategory="{dataset}",
            labels={"table": "sample quality"},
        ),
        pca=result("bulk/{dataset}/pca.tsv"),
        covariates=result("bulk/{dataset}/pca_covariates.tsv"),
        correlation=result("bulk/{dataset}/correlation.tsv"),
        scores=result("programmes/{dataset}/scores.tsv"),
    log:
        log_of("bulk_fit", "{dataset}"),
    benchmark:
        time_of("bulk_fit", "{dataset}")
    conda:
        ENVIRONMENT
    threads: 2
    resources:
        mem_mb=growing(1500, per_sample=3),
        runtime=growing(30),
    params:
        organism=lambda wildcards: STUDIES[wildcards.dataset]["organism"],
        card=card_part("id", "role", "contrasts"),
        counts=SETTINGS["bulk"]["counts"],
        inference=SETTINGS["bulk"]["de"]["inference"],
        qc=SETTINGS["bulk"]["qc"],
        code=code("bulk_fit"),
    message:
        "{wildcards.dataset}: fitting every gene, checking the quality of every sample"
    script:
        "../scripts/bulk_fit.py"


# Genes, pathways and programmes in one job: what they import and read costs more than they do.
rule bulk_contrast:
    input:
        fits=result("bulk/{dataset}/fits.h5"),
        vst=result("bulk/{dataset}/vst.h5ad"),
        manifest=[result("provenance/data/collections.tsv")] if COLLECTIONS else [],
        programmes="config/programmes.tsv",
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
        omnibus={
            key: SETTINGS["bulk"]["de"][key]
            for key in ("distribution", "alpha", "min_replicates", "inference")
        },
        arrays=SETTINGS["bulk"]["arrays"],
        sizes=SETTINGS["enrichment"]["sizes"],
        gsea=SETTINGS["enrichment"]["gsea"],
        sets=SETTINGS["enrichment"]["sets"],
        ora=SETTINGS["enrichment"]["ora"],
        programmes=SETTINGS["programmes"],
        seed=SETTINGS["seed"],
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
        code=code("effects_import"),
    message:
        "{wildcards.dataset}: importing published effects, {wildcards.contrast}"
    script:
        "../scripts/effects_import.py"
