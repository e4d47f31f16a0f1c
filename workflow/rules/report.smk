# In:  every table of every selected study.
# Out: provenance/ (configuration, versions, data lock) and report/index.html with its pages.


rule provenance_run:
    input:
        manifests=manifests(),
        completeness=per_study("completeness.tsv"),
        outcome=result("provenance/outcome.tsv"),
    output:
        completeness=result("provenance/completeness.tsv"),
        config=result("provenance/config.yaml"),
        lock=report(
            result("provenance/data_lock.tsv"),
            caption="../report/captions/provenance_run.rst",
            category="Provenance",
            labels={"table": "data lock"},
        ),
        versions=result("provenance/versions.json"),
    log:
        log_of("provenance_run"),
    benchmark:
        time_of("provenance_run")
    localrule: True
    conda:
        ENVIRONMENT
    params:
        settings=to_share(SETTINGS),
        code=code("provenance_run"),
    message:
        "recording where everything came from"
    script:
        "../scripts/provenance_run.py"


rule report_pages:
    input:
        *(
            of_sound(f"bulk/{{dataset}}/{table}", BULK)
            for table in (
                "samples.tsv",
                "excluded.tsv",
                "warnings.tsv",
                "qc.tsv",
                "pca.tsv",
                "pca_covariates.tsv",
                "correlation.tsv",
            )
        ),
        PLAN.quality_of_reads(lambda: checkpoints.data_outcome.get().output.outcome),
        of_sound("bulk/{dataset}/counts.h5ad", COUNTS),
        of_sound("bulk/{dataset}/intensities.h5ad", ARRAYS),
        of_sound("programmes/{dataset}/scores.tsv", BULK),
        all_de(),
        of_sound("bulk/{dataset}/{contrast}/engines.tsv", BULK),
        of_sound("bulk/{dataset}/{contrast}/omnibus.tsv", BULK),
        all_effects(),
        *(
            of_sound(f"cells/{{dataset}}/{table}", CELLS)
            for table in (
                "samples.tsv",
                "excluded.tsv",
                "warnings.tsv",
                "qc.tsv",
                "barcodes.tsv",
                "clusters.tsv",
                "markers.tsv",
                "types.tsv",
                "activity.tsv",
                "coexpression.tsv",
                "map.parquet",
                "cells.h5ad",
                "pseudobulk.h5ad",
                "{contrast}/composition.tsv",
            )
        ),
        of_sound("enrichment/{dataset}/{contrast}/gsea.tsv", BULK + PUBLISHED),
        of_sound("enrichment/{dataset}/{contrast}/sets.tsv", BULK),
        rules.programmes_check.output,
        expand(
            result("synthesis/{table}.tsv"),
            table=[
                "contrasts",
                "blocks",
                "genes",
                "claims",
                "claim_studies",
                "programmes",
                "specificity",
                "denervation",
                "changes",
                "called_genes",
                "called_blocks",
                "call_agreement",
            ],
        ),
        # Not read by the pages; part of every finished run.
        result("synthesis/data_dictionary.tsv"),
        rules.provenance_run.output,
        [result("provenance/data/collections.tsv")] if COLLECTIONS else [],
        proportions=expand(
            result("synthesis/{table}.tsv"),
            table=["shares", "proportions"] if NUCLEI else [],
        ),
        outcome=result("provenance/outcome.tsv"),
        checks=result("provenance/checks.tsv"),
        templates=sorted(str(path) for path in (WORKFLOW / "report").glob("*.*")),
        programmes=TABLES["programmes"],
        notes=TABLES["programme_notes"],
        collections=TABLES["collections"],
        claims=TABLES["claims"],
    output:
        # A folder: what a former run wrote for a study that is gone does not stay behind.
        pages=report(
            directory(result("report")),
            htmlindex="index.html",
            caption="../report/captions/report_pages.rst",
            category="Report",
            labels={"page": "the whole report"},
        ),
        mail=result("report.zip"),
    log:
        log_of("report_pages"),
    benchmark:
        time_of("report_pages")
    localrule: True
    conda:
        ENVIRONMENT
    threads: 2
    params:
        cards=STUDIES,
        left_out=cards.left_out(CARDS, STUDIES),
        settings=to_share(SETTINGS),
        code=code("report_pages"),
    message:
        "writing the report"
    script:
        "../scripts/report_pages.py"
