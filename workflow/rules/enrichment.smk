# In:  bulk/<dataset>/<contrast>/de.tsv, bulk/<dataset>/vst.h5ad, the gene sets, config/programmes.tsv.
# Out: enrichment/<dataset>/<contrast>/gsea.tsv and, where there is a matrix, sets.tsv;
#      programmes/coverage.tsv, programmes/<dataset>/<contrast>/effects.tsv.


# Public sets and curated programmes in one job: both need the matrix, and reading it costs more.
rule enrichment_sets:
    input:
        de=result("bulk/{dataset}/{contrast}/de.tsv"),
        vst=result("bulk/{dataset}/vst.h5ad"),
        manifest=[result("provenance/data/collections.tsv")] if COLLECTIONS else [],
        programmes="config/programmes.tsv",
    output:
        gsea=result("enrichment/{dataset}/{contrast}/gsea.tsv"),
        sets=result("enrichment/{dataset}/{contrast}/sets.tsv"),
        effects=report(
            result("programmes/{dataset}/{contrast}/effects.tsv"),
            caption="../report/captions/enrichment_sets.rst",
            category="Studies",
            subcategory="{dataset}",
            labels={"table": "programmes, {contrast}"},
        ),
    log:
        log_of("enrichment_sets", "{dataset}.{contrast}"),
    benchmark:
        time_of("enrichment_sets", "{dataset}.{contrast}")
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
        min_replicates=SETTINGS["bulk"]["de"]["min_replicates"],
        sizes=SETTINGS["enrichment"]["sizes"],
        gsea=SETTINGS["enrichment"]["gsea"],
        sets=SETTINGS["enrichment"]["sets"],
        ora=SETTINGS["enrichment"]["ora"],
        programmes=SETTINGS["programmes"],
        seed=SETTINGS["seed"],
        code=code("enrichment_sets"),
    message:
        "{wildcards.dataset}: testing pathways and gene programmes, {wildcards.contrast}"
    script:
        "../scripts/enrichment_sets.py"


# Published effects have no matrix: the ranking is all there is.
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
    wildcard_constraints:
        dataset=one_of(PUBLISHED),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1500),
        runtime=growing(20),
    params:
        organism=lambda wildcards: STUDIES[wildcards.dataset]["organism"],
        sizes=SETTINGS["enrichment"]["sizes"],
        gsea=SETTINGS["enrichment"]["gsea"],
        seed=SETTINGS["seed"],
        code=code("enrichment_gsea"),
    message:
        "{wildcards.dataset}: ranking pathways, {wildcards.contrast}"
    script:
        "../scripts/enrichment_gsea.py"


rule programmes_check:
    input:
        programmes="config/programmes.tsv",
    output:
        coverage=result("programmes/coverage.tsv"),
    log:
        log_of("programmes_check"),
    benchmark:
        time_of("programmes_check")
    localrule: True
    conda:
        ENVIRONMENT
    params:
        code=code("programmes_check"),
    message:
        "checking the genes of the programmes"
    script:
        "../scripts/programmes_check.py"
