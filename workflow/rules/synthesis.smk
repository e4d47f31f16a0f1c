# In:  config/claims.yaml, study cards, and per study samples.tsv, warnings.tsv, vst.h5ad; per
#      contrast de.tsv and programmes/<dataset>/<contrast>/block_effects.tsv; of nuclei
#      pseudobulk.h5ad, of whole tissue fits.h5.
# Out: synthesis/: contrasts.tsv, blocks.tsv; genes.tsv, programmes.tsv, specificity.tsv;
#      denervation.tsv, deltas.tsv, random_sets.tsv; shares.tsv, proportions.tsv; claims.tsv,
#      claims.previous.tsv, changes.tsv, claim_studies.tsv; effects.parquet, data_dictionary.tsv.


rule synthesis_contrasts:
    input:
        samples=per_study("samples.tsv"),
        warnings=per_study("warnings.tsv"),
        de=all_de(),
        effects=all_effects(),
        called=of_sound("calls/{dataset}/called.tsv", LISTS),
        programmes=TABLES["programmes"],
        claims=TABLES["claims"],
        outcome=result("provenance/outcome.tsv"),
    output:
        contrasts=report(
            result("synthesis/contrasts.tsv"),
            caption="../report/captions/synthesis_contrasts.rst",
            category="Synthesis",
            labels={"table": "comparisons"},
        ),
        blocks=result("synthesis/blocks.tsv"),
    log:
        log_of("synthesis_contrasts"),
    benchmark:
        time_of("synthesis_contrasts")
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1000, per_contrast=5),
        runtime=growing(10),
    params:
        cards=facts_of_cards,
        contrasts={
            key: SETTINGS["synthesis"]["contrasts"][key]
            for key in ("min_donors", "include_confounded")
        },
        block_correlation=SETTINGS["synthesis"]["contrasts"]["block_correlation"],
        code=code("synthesis_contrasts"),
    message:
        "all studies: deciding what may be pooled"
    script:
        "../scripts/synthesis_contrasts.py"


rule synthesis_pool:
    input:
        contrasts=result("synthesis/contrasts.tsv"),
        blocks=result("synthesis/blocks.tsv"),
        de=all_de(),
        outcome=result("provenance/outcome.tsv"),
    output:
        genes=result("synthesis/genes.tsv"),
        programmes=report(
            result("synthesis/programmes.tsv"),
            caption="../report/captions/synthesis_pool.rst",
            category="Synthesis",
            labels={"table": "pooled programmes"},
        ),
        specificity=result("synthesis/specificity.tsv"),
    log:
        log_of("synthesis_pool"),
    benchmark:
        time_of("synthesis_pool")
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1000, per_contrast=20),
        runtime=growing(20),
    params:
        pooling={
            key: SETTINGS["synthesis"]["rules"][key]
            for key in ("alpha", "rho", "tau_scale", "block_margin", "gene_margin")
        },
        min_studies=SETTINGS["synthesis"]["rules"]["min_studies"],
        code=code("synthesis_pool"),
    message:
        "all studies: pooling effects"
    script:
        "../scripts/synthesis_pool.py"


rule synthesis_denervation:
    input:
        contrasts=result("synthesis/contrasts.tsv"),
        blocks=result("synthesis/blocks.tsv"),
        vst=of_sound("bulk/{dataset}/vst.h5ad", compared()),
        fits=of_sound("bulk/{dataset}/fits.h5", compared()),
        de=tissue_de(),
        programmes=TABLES["programmes"],
        claims=TABLES["claims"],
        outcome=result("provenance/outcome.tsv"),
    output:
        axis=report(
            result("synthesis/denervation.tsv"),
            caption="../report/captions/synthesis_denervation.rst",
            category="Synthesis",
            labels={"table": "denervation axis"},
        ),
        deltas=result("synthesis/deltas.tsv"),
        random_sets=result("synthesis/random_sets.tsv"),
    log:
        log_of("synthesis_denervation"),
    benchmark:
        time_of("synthesis_denervation")
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000, per_contrast=10),
        runtime=growing(60),
    params:
        cards=facts_of_cards,
        fit={
            "trend": SETTINGS["bulk"]["arrays"]["trend"],
            "n_replicates": SETTINGS["synthesis"]["denervation"]["n_replicates"],
            "seed": SETTINGS["seed"],
        },
        denervation={
            key: SETTINGS["synthesis"]["denervation"][key]
            for key in ("n_random", "inter_gene_correlation", "min_reliability")
        },
        code=code("synthesis_denervation"),
    message:
        "all studies: comparing ALS with denervation"
    script:
        "../scripts/synthesis_denervation.py"


# All studies in one job: the reference of a species is read once. Asked for only where a study of
# nuclei and one of read counts share a species.
rule synthesis_proportions:
    input:
        contrasts=result("synthesis/contrasts.tsv"),
        pseudobulk=of_sound("cells/{dataset}/pseudobulk.h5ad", NUCLEI),
        fits=of_sound("bulk/{dataset}/fits.h5", DESCRIBED),
        samples=of_sound("bulk/{dataset}/samples.tsv", DESCRIBED),
        programmes=TABLES["programmes"],
        celltypes=TABLES["celltypes"],
        outcome=result("provenance/outcome.tsv"),
    output:
        shares=result("synthesis/shares.tsv"),
        proportions=report(
            result("synthesis/proportions.tsv"),
            caption="../report/captions/synthesis_proportions.rst",
            category="Synthesis",
            labels={"table": "effects adjusted by proportions"},
        ),
    log:
        log_of("synthesis_proportions"),
    benchmark:
        time_of("synthesis_proportions")
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(2000, per_contrast=5),
        runtime=growing(20),
    params:
        cards=facts_of_cards,
        targets=claim_targets,
        min_replicates=SETTINGS["bulk"]["de"]["min_replicates"],
        code=code("synthesis_proportions"),
    message:
        "all studies: estimating proportions of cell types, and adjusting effects by them"
    script:
        "../scripts/synthesis_proportions.py"


rule synthesis_claims:
    input:
        contrasts=result("synthesis/contrasts.tsv"),
        blocks=result("synthesis/blocks.tsv"),
        deltas=result("synthesis/deltas.tsv"),
        random_sets=result("synthesis/random_sets.tsv"),
        called=result("synthesis/called_blocks.tsv"),
        proportions=[result("synthesis/proportions.tsv")] if NUCLEI else [],
        programmes=TABLES["programmes"],
        claims=TABLES["claims"],
    output:
        # Kept when the rule runs again, to say what moved.
        claims=report(
            update(result("synthesis/claims.tsv")),
            caption="../report/captions/synthesis_verdicts.rst",
            category="Synthesis",
            labels={"table": "claims and verdicts"},
        ),
        previous=update(result("synthesis/claims.previous.tsv")),
        changes=report(
            result("synthesis/changes.tsv"),
            caption="../report/captions/synthesis_claims.rst",
            category="Synthesis",
            labels={"table": "what moved"},
        ),
        studies=result("synthesis/claim_studies.tsv"),
    log:
        log_of("synthesis_claims"),
    benchmark:
        time_of("synthesis_claims")
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1000, per_contrast=2),
        runtime=growing(10),
    params:
        rules=SETTINGS["synthesis"]["rules"],
        code=code("synthesis_claims"),
    message:
        "all studies: judging the claims"
    script:
        "../scripts/synthesis_claims.py"


rule synthesis_export:
    input:
        meanings=str(WORKFLOW / "schemas" / "columns.tsv"),
        de=all_de(),
        outcome=result("provenance/outcome.tsv"),
    output:
        effects=result("synthesis/effects.parquet"),
        dictionary=report(
            result("synthesis/data_dictionary.tsv"),
            caption="../report/captions/synthesis_export.rst",
            category="Synthesis",
            labels={"table": "data dictionary"},
        ),
    log:
        log_of("synthesis_export"),
    benchmark:
        time_of("synthesis_export")
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1000, per_contrast=20),
        runtime=growing(10),
    params:
        code=code("synthesis_export"),
    message:
        "all studies: writing the effects and the data dictionary"
    script:
        "../scripts/synthesis_export.py"


rule synthesis_calls:
    input:
        contrasts=result("synthesis/contrasts.tsv"),
        called=of_sound("calls/{dataset}/called.tsv", LISTS),
        blocks=of_sound("calls/{dataset}/blocks.tsv", LISTS),
        de=tissue_de(),
        outcome=result("provenance/outcome.tsv"),
    output:
        genes=result("synthesis/called_genes.tsv"),
        blocks=result("synthesis/called_blocks.tsv"),
        agreement=result("synthesis/call_agreement.tsv"),
    log:
        log_of("synthesis_calls"),
    benchmark:
        time_of("synthesis_calls")
    conda:
        ENVIRONMENT
    resources:
        mem_mb=growing(1000, per_contrast=5),
        runtime=growing(10),
    params:
        code=code("synthesis_calls"),
    message:
        "all studies: comparing lists of called genes"
    script:
        "../scripts/synthesis_calls.py"
