# alsmuscle: from the accession of a public muscle transcriptome to pages that a PI can read.
# This file is the map; the wiring is in workflow/rules, the science in workflow/src/alsmuscle.
from snakemake.utils import min_version

min_version("9.25")


# Laid over the project's own config/config.yaml, as --configfile and a module's `config:` are.
if exists("config/config.yaml"):

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/run.smk"
include: "workflow/rules/reads.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/bulk.smk"
include: "workflow/rules/cells.smk"
include: "workflow/rules/enrichment.smk"
include: "workflow/rules/synthesis.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        result("report"),
    localrule: True


rule fetch:
    input:
        manifests(),
        result("provenance/admission.tsv"),
    localrule: True
