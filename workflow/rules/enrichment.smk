# In:  bulk/<dataset>/<contrast>/de.tsv, bulk/<dataset>/vst.h5ad, the gene sets, config/programmes.tsv.
# Out: enrichment/<dataset>/<contrast>/gsea.tsv; programmes/<dataset>/scores.tsv and
#      programmes/<dataset>/<contrast>/effects.tsv.


rule enrichment_gsea:
    input:
        de=result("bulk/{dataset}/{contrast}/de.tsv"),
        manifest=[result("provenance/data/collections.tsv")] if COLLECTIONS else [],
        programmes="config/programmes.tsv",
    output:
        gsea=result("enrichment/{dataset}/{contrast}/gsea.tsv"),
    log:
        log_of("enrichment_gsea", "{dataset}.{contrast}"),
    benchmark:
        time_of("enrichment_gsea", "{dataset}.{contrast}")
    conda:
        ENVIRONMENT
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        organism=lambda wildcards: STUDIES[wildcards.dataset]["organism"],
        gsea=SETTINGS["enrichment"]["gsea"],
        seed=SETTINGS["seed"],
        code=code("enrichment_gsea"),
    script:
        "../scripts/enrichment_gsea.py"


rule programmes_scores:
    input:
        vst=result("bulk/{dataset}/vst.h5ad"),
        programmes="config/programmes.tsv",
    output:
        scores=result("programmes/{dataset}/scores.tsv"),
    log:
        log_of("programmes_scores", "{dataset}"),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=1500,
        runtime=10,
    params:
        organism=lambda wildcards: STUDIES[wildcards.dataset]["organism"],
        code=code("programmes_scores"),
    script:
        "../scripts/programmes_scores.py"


rule programmes_effects:
    input:
        vst=result("bulk/{dataset}/vst.h5ad"),
        programmes="config/programmes.tsv",
    output:
        effects=result("programmes/{dataset}/{contrast}/effects.tsv"),
    log:
        log_of("programmes_effects", "{dataset}.{contrast}"),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=1500,
        runtime=10,
    params:
        organism=lambda wildcards: STUDIES[wildcards.dataset]["organism"],
        contrast=contrast_of,
        min_replicates=SETTINGS["bulk"]["de"]["min_replicates"],
        programmes=SETTINGS["programmes"],
        seed=SETTINGS["seed"],
        code=code("programmes_effects"),
    script:
        "../scripts/programmes_effects.py"
