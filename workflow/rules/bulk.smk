# In:  provenance/data/<dataset>.tsv and the files it names.
# Out: bulk/<dataset>/: counts.h5ad (arrays: intensities.h5ad), samples.tsv, excluded.tsv, warnings.tsv, completeness.tsv, qc.tsv, pca.tsv,
#      correlation.tsv, vst.h5ad, fits.h5, omnibus.tsv; bulk/<dataset>/<contrast>/de.tsv, also for published effects.


rule bulk_counts:
    input:
        manifest=result("provenance/data/{dataset}.tsv"),
    output:
        counts=result("bulk/{dataset}/counts.h5ad"),
        samples=result("bulk/{dataset}/samples.tsv"),
        excluded=result("bulk/{dataset}/excluded.tsv"),
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
        card=card_part("id", "organism", "files", "counts", "samples"),
        code=code("bulk_counts"),
    message:
        "{wildcards.dataset}: reading counts, samples and gene ids"
    script:
        "../scripts/bulk_counts.py"


rule bulk_intensities:
    input:
        manifest=result("provenance/data/{dataset}.tsv"),
    output:
        intensities=result("bulk/{dataset}/intensities.h5ad"),
        samples=result("bulk/{dataset}/samples.tsv"),
        excluded=result("bulk/{dataset}/excluded.tsv"),
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
        card=card_part("id", "organism", "files", "intensities", "samples"),
        code=code("bulk_intensities"),
    message:
        "{wildcards.dataset}: reading intensities, samples and probes"
    script:
        "../scripts/bulk_intensities.py"


rule bulk_design:
    input:
        measured=measured,
        excluded=result("bulk/{dataset}/excluded.tsv"),
    output:
        warnings=report(
            result("bulk/{dataset}/warnings.tsv"),
            caption="../report/captions/bulk_design.rst",
            category="Studies",
            subcategory="{dataset}",
            labels={"table": "faults of the design"},
        ),
        completeness=result("bulk/{dataset}/completeness.tsv"),
    log:
        log_of("bulk_design", "{dataset}"),
    benchmark:
        time_of("bulk_design", "{dataset}")
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(800, per_sample=1),
        runtime=growing(5),
    params:
        card=card_part("id", "role", "contrasts"),
        min_replicates=SETTINGS["bulk"]["de"]["min_replicates"],
        code=code("bulk_design"),
    message:
        "{wildcards.dataset}: checking whether the groups can be compared"
    script:
        "../scripts/bulk_design.py"


rule bulk_qc:
    input:
        measured=measured,
        # A design that cannot be fitted stops the study before anything is computed.
        checked=ancient(result("bulk/{dataset}/warnings.tsv")),
        panels="config/tissues.tsv",
    output:
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
        vst=result("bulk/{dataset}/vst.h5ad"),
    log:
        log_of("bulk_qc", "{dataset}"),
    benchmark:
        time_of("bulk_qc", "{dataset}")
    conda:
        ENVIRONMENT
    threads: 2
    resources:
        mem_mb=growing(1200, per_sample=3),
        runtime=growing(15),
    params:
        organism=lambda wildcards: STUDIES[wildcards.dataset]["organism"],
        card=card_part("id", "role", "contrasts"),
        qc=SETTINGS["bulk"]["qc"],
        counts=SETTINGS["bulk"]["counts"],
        inference=SETTINGS["bulk"]["de"]["inference"],
        code=code("bulk_qc"),
    message:
        "{wildcards.dataset}: checking the quality of every sample"
    script:
        "../scripts/bulk_qc.py"


rule bulk_fit:
    input:
        measured=measured,
        checked=result("bulk/{dataset}/warnings.tsv"),
    output:
        fits=result("bulk/{dataset}/fits.h5"),
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
        card=card_part("id", "role", "contrasts"),
        counts=SETTINGS["bulk"]["counts"],
        inference=SETTINGS["bulk"]["de"]["inference"],
        code=code("bulk_fit"),
    message:
        "{wildcards.dataset}: fitting every gene"
    script:
        "../scripts/bulk_fit.py"


rule bulk_de:
    input:
        fits=result("bulk/{dataset}/fits.h5"),
        measured=measured,
    output:
        de=report(
            result("bulk/{dataset}/{contrast}/de.tsv"),
            caption="../report/captions/bulk_de.rst",
            category="Studies",
            subcategory="{dataset}",
            labels={"table": "genes, {contrast}"},
        ),
        engines=result("bulk/{dataset}/{contrast}/engines.tsv"),
    log:
        log_of("bulk_de", "{dataset}.{contrast}"),
    benchmark:
        time_of("bulk_de", "{dataset}.{contrast}")
    wildcard_constraints:
        dataset=one_of(BULK),
    conda:
        ENVIRONMENT
    threads: 2
    resources:
        mem_mb=growing(1500, per_sample=3),
        runtime=growing(15),
    params:
        contrast=contrast_of,
        de=SETTINGS["bulk"]["de"],
        arrays=SETTINGS["bulk"]["arrays"],
        code=code("bulk_de"),
    message:
        "{wildcards.dataset}: testing every gene, {wildcards.contrast}"
    script:
        "../scripts/bulk_de.py"


rule bulk_omnibus:
    input:
        fits=result("bulk/{dataset}/fits.h5"),
        measured=measured,
    output:
        omnibus=result("bulk/{dataset}/omnibus.tsv"),
    log:
        log_of("bulk_omnibus", "{dataset}"),
    benchmark:
        time_of("bulk_omnibus", "{dataset}")
    wildcard_constraints:
        dataset=one_of(BULK),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1500, per_sample=3),
        runtime=growing(20),
    params:
        card=card_part("id", "role", "contrasts"),
        de={
            key: SETTINGS["bulk"]["de"][key]
            for key in ("distribution", "alpha", "min_replicates", "inference")
        },
        arrays=SETTINGS["bulk"]["arrays"],
        code=code("bulk_omnibus"),
    message:
        "{wildcards.dataset}: testing every gene over all groups"
    script:
        "../scripts/bulk_omnibus.py"


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
