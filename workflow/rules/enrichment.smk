# In:  bulk/<dataset>/<contrast>/de.tsv of published effects, the gene sets, config/programmes.tsv.
# Out: enrichment/<dataset>/<contrast>/gsea.tsv of them; programmes/coverage.tsv.


# Published effects have no matrix: the ranking is all there is.
rule enrichment_gsea:
    input:
        de=result("bulk/{dataset}/{contrast}/de.tsv"),
        manifest=[result("provenance/data/collections.tsv")] if COLLECTIONS else [],
        programmes=TABLES["programmes"],
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
        last_mark=last_mark("enrichment_gsea", "{dataset}.{contrast}"),
        code=code("enrichment_gsea"),
    message:
        "{wildcards.dataset}: ranking pathways, {wildcards.contrast}"
    script:
        "../scripts/enrichment_gsea.py"


rule programmes_check:
    input:
        programmes=TABLES["programmes"],
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
