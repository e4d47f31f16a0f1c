# In:  provenance/data/<dataset>.tsv and the files it names, config/celltypes.tsv,
#      config/programmes.tsv.
# Out: cells/<dataset>/: samples.tsv, excluded.tsv, warnings.tsv, completeness.tsv, qc.tsv,
#      barcodes.tsv, prepared.h5; cells.h5ad, clusters.tsv, markers.tsv; pseudobulk.h5ad, types.tsv,
#      activity.tsv, coexpression.tsv, map.parquet; cells/<dataset>/<contrast>/: de.tsv,
#      composition.tsv; and programmes/<dataset>/<contrast>/effects.tsv. In these, cell_type is a
#      column.

# The longest chain of a run: its jobs go first wherever something must wait.


rule cells_prepare:
    input:
        manifest=result("provenance/data/{dataset}.tsv"),
    output:
        prepared=result("cells/{dataset}/prepared.h5"),
        samples=result("cells/{dataset}/samples.tsv"),
        excluded=result("cells/{dataset}/excluded.tsv"),
        warnings=result("cells/{dataset}/warnings.tsv"),
        completeness=result("cells/{dataset}/completeness.tsv"),
        qc=report(
            result("cells/{dataset}/qc.tsv"),
            caption="../report/captions/cells_prepare.rst",
            category="Studies",
            subcategory="{dataset}",
            labels={"table": "sample quality, single cells"},
        ),
        barcodes=result("cells/{dataset}/barcodes.tsv"),
    log:
        log_of("cells_prepare", "{dataset}"),
    benchmark:
        time_of("cells_prepare", "{dataset}")
    priority: 1
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(3000, per_sample=50),
        runtime=growing(20, per_sample=10),
    params:
        card=card_part("id", "role", "organism", "cells", "samples", "contrasts"),
        prepare=SETTINGS["cells"]["prepare"],
        variable=SETTINGS["cells"]["variable"],
        min_replicates=SETTINGS["bulk"]["de"]["min_replicates"],
        seed=SETTINGS["seed"],
        last_mark=last_mark("cells_prepare", "{dataset}"),
        code=code("cells_prepare"),
    message:
        "{wildcards.dataset}: reading cells and checking their quality"
    script:
        "../scripts/cells_prepare.py"


rule cells_cluster:
    input:
        prepared=result("cells/{dataset}/prepared.h5"),
        qc=result("cells/{dataset}/qc.tsv"),
        samples=result("cells/{dataset}/samples.tsv"),
        panel=TABLES["celltypes"],
    output:
        cells=result("cells/{dataset}/cells.h5ad"),
        clusters=result("cells/{dataset}/clusters.tsv"),
        markers=result("cells/{dataset}/markers.tsv"),
    log:
        log_of("cells_cluster", "{dataset}"),
    benchmark:
        time_of("cells_cluster", "{dataset}")
    priority: 1
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(3000, per_sample=250),
        runtime=growing(20, per_sample=10),
    params:
        card=card_part("id", "organism", "cells"),
        variable=SETTINGS["cells"]["variable"],
        embed=SETTINGS["cells"]["embed"],
        annotate=SETTINGS["cells"]["annotate"],
        seed=SETTINGS["seed"],
        last_mark=last_mark("cells_cluster", "{dataset}"),
        code=code("cells_cluster"),
    message:
        "{wildcards.dataset}: clustering and naming cells"
    script:
        "../scripts/cells_cluster.py"


rule cells_pseudobulk:
    input:
        cells=result("cells/{dataset}/cells.h5ad"),
        samples=result("cells/{dataset}/samples.tsv"),
        programmes=TABLES["programmes"],
    output:
        pseudobulk=result("cells/{dataset}/pseudobulk.h5ad"),
        types=result("cells/{dataset}/types.tsv"),
        activity=result("cells/{dataset}/activity.tsv"),
        coexpression=result("cells/{dataset}/coexpression.tsv"),
        map=result("cells/{dataset}/map.parquet"),
    log:
        log_of("cells_pseudobulk", "{dataset}"),
    benchmark:
        time_of("cells_pseudobulk", "{dataset}")
    priority: 1
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000, per_sample=200),
        runtime=growing(20, per_sample=2),
    params:
        card=card_part("id", "organism", "cells", "files"),
        pseudobulk=SETTINGS["cells"]["pseudobulk"],
        coexpression=SETTINGS["cells"]["coexpression"],
        last_mark=last_mark("cells_pseudobulk", "{dataset}"),
        code=code("cells_pseudobulk"),
    message:
        "{wildcards.dataset}: summing counts per sample and cell type"
    script:
        "../scripts/cells_pseudobulk.py"


rule cells_contrast:
    input:
        pseudobulk=result("cells/{dataset}/pseudobulk.h5ad"),
        types=result("cells/{dataset}/types.tsv"),
        samples=result("cells/{dataset}/samples.tsv"),
        programmes=TABLES["programmes"],
    output:
        de=report(
            result("cells/{dataset}/{contrast}/de.tsv"),
            caption="../report/captions/cells_contrast.rst",
            category="Studies",
            subcategory="{dataset}",
            labels={"table": "genes per cell type, {contrast}"},
        ),
        composition=report(
            result("cells/{dataset}/{contrast}/composition.tsv"),
            caption="../report/captions/cells_composition.rst",
            category="Studies",
            subcategory="{dataset}",
            labels={"table": "cell types' shares, {contrast}"},
        ),
        effects=result("programmes/{dataset}/{contrast}/effects.tsv"),
        block_effects=result("programmes/{dataset}/{contrast}/block_effects.tsv"),
    log:
        log_of("cells_contrast", "{dataset}.{contrast}"),
    benchmark:
        time_of("cells_contrast", "{dataset}.{contrast}")
    wildcard_constraints:
        dataset=one_of(CELLS),
    priority: 1
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000, per_sample=10),
        runtime=growing(30),
    params:
        organism=lambda wildcards: STUDIES[wildcards.dataset]["organism"],
        contrast=contrast_of,
        counts=SETTINGS["bulk"]["counts"],
        de=SETTINGS["bulk"]["de"],
        programmes=SETTINGS["programmes"],
        targets=claim_targets,
        composition=SETTINGS["cells"]["composition"],
        seed=SETTINGS["seed"],
        last_mark=last_mark("cells_contrast", "{dataset}.{contrast}"),
        code=code("cells_contrast"),
    message:
        "{wildcards.dataset}: testing every cell type, {wildcards.contrast}"
    script:
        "../scripts/cells_contrast.py"
