"""The methods in words, from the effective configuration and the versions that ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from alsmuscle.bulk import metrics, proportions
from alsmuscle.report import wording

if TYPE_CHECKING:
    import pandas as pd

Step = dict[str, str]

# How a gene is tested (bulk.de.distribution).
_REFERENCE = {
    "quasi": "p-values and 95 % intervals are those of a quasi-likelihood t: fitted at the "
    "dispersion trend, each gene's residual deviance is squeezed towards that of genes of its mean "
    "and multiplies its error (Lund et al. 2012); p-values are adjusted over genes with ten counts "
    "in as many samples as the smallest group has. DESeq2's default, the normal distribution, "
    "would call more genes.",
    "normal": "p-values and 95 % intervals are those of the normal distribution.",
}

_TEST = {
    "quasi": "quasi-likelihood t test of the genes with enough reads",
    "normal": "Wald test, independent filtering",
}


def contrast_sentence(
    contrast: Mapping[str, Any], settings: Mapping[str, Any], packages: Mapping[str, str]
) -> str:
    """Return one sentence that says how a contrast was computed.

    Parameters
    ----------
    contrast
        With all keys, as ``cards.contrast`` returns it.
    settings
        The effective configuration.
    packages
        Package → version.
    """
    de = settings["bulk"]["de"]
    return (
        f"Raw counts; a negative-binomial model of {_model(contrast)} (PyDESeq2 "
        f"{packages['pydeseq2']}); Cook's outliers replaced; {_TEST[de['distribution']]}"
        + (f" at alpha {de['alpha']:g}" if de["distribution"] == "normal" else "")
        + "; Benjamini–Hochberg adjustment."
    )


def donors_sentence(contrast: Mapping[str, Any], correlation: float) -> str:
    """Return one sentence for counts of donors who gave several samples to one side."""
    return (
        "Raw counts on the voom scale with its precision weights (Law et al. 2014); a linear "
        f"model of {_model(contrast)}, the samples of a donor correlated at {correlation:.2f} over "
        "all genes (consensus correlation: Smyth et al. 2005); moderated t; Benjamini–Hochberg "
        "adjustment."
    )


def array_sentence(contrast: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Return one sentence that says how a contrast of an array study was computed."""
    trend = "with" if settings["bulk"]["arrays"]["trend"] else "without"
    return (
        f"Array, log2 intensities; a linear model of {_model(contrast)}; limma-type moderated t "
        f"{trend} a mean-variance trend (Smyth 2004); Benjamini–Hochberg adjustment over all genes."
    )


def _model(contrast: Mapping[str, Any]) -> str:
    return wording.words(_design(contrast).replace("subject_id", "donor"))


def _design(contrast: Mapping[str, Any]) -> str:
    model = str(contrast["variable"])
    if contrast["across"]:
        model += f" and its interaction with {contrast['across']}"
    if contrast["adjust"]:
        model += " adjusted for " + ", ".join(contrast["adjust"])
    if contrast["block"]:
        model += f", paired by {contrast['block']}"
    if contrast["within"]:
        model += ", on the samples with " + "; ".join(
            f"{column} in {', '.join(levels)}" for column, levels in contrast["within"].items()
        )
    else:
        model += ", all groups of the study in one fit"
    return model


def cells_sentence(
    card: Mapping[str, Any],
    contrast: Mapping[str, Any],
    settings: Mapping[str, Any],
    packages: Mapping[str, str],
) -> str:
    """Return one sentence that says how a contrast of one cell type was computed."""
    return (
        f"Counts of all {card['cells']['material']} of a sample and cell type were added, where a "
        f"sample has at least {settings['cells']['pseudobulk']['min_cells']} of them; from "
        f"there as for tissue. {contrast_sentence(contrast, settings, packages)}"
    )


def published_sentence(card: Mapping[str, Any]) -> str:
    """Return one sentence that says what a published contrast is and how its spread was derived."""
    if card["modality"] == "calls":
        return (
            f"A published list of called genes ({card['calls']['threshold']}), not recomputed: its "
            "effects are the large ones only, and are never averaged or pooled."
        )
    spec = card["effects"]
    named = f" of {spec['tool']}" if "tool" in spec else ""
    column = spec.get("log2fc_column")
    source = f" from column {column}" if column else ""
    probe = "of highest mean expression" if "expression_columns" in spec else "that the import kept"
    return (
        f"Published results{named}, not recomputed: log2 fold change{source}; how the standard "
        f"error was derived is said with the import; of several probes of a gene the one {probe}."
    )


def of_reads(studies: Sequence[pd.DataFrame | None]) -> list[Step]:
    """Return the methods' row about raw reads; none where no study was quantified here.

    ``studies``: contract ``reads`` of each study, None where its authors' counts are used.
    """
    found = [table for table in studies if table is not None]
    if not found:
        return []

    def named(column: str) -> str:
        return "; ".join(sorted({str(value) for table in found for value in table[column]}))

    return [
        {
            "step": "Raw reads",
            "text": "Studies of which only reads are public are quantified here "
            f"({named('tool')}; {named('reference')}). Whole tissue: a library's strand is told "
            "from its first reads; abundances of a gene's transcripts are added and put back on "
            "the scale of counts with one length per gene (length-scaled TPM). Cells: molecules "
            "are counted by gene, introns included in nuclei; barcodes are taken for cells from a "
            "tenth of what the richest hold.",
            "citation": "Bray et al. 2016; Soneson, Love & Robinson 2015; Melsted et al. 2021",
            "doi": "10.1038/nbt.3519; 10.12688/f1000research.7563.2; 10.1038/s41587-021-00870-2",
        }
    ]


def steps(
    settings: Mapping[str, Any],
    packages: Mapping[str, str],
    collections: Mapping[str, Mapping[str, Any]],
) -> list[Step]:
    """Return the methods section: one row per step with text, citations and their DOIs.

    Several citations, and their DOIs in the same order, are joined by "; ". Authors, year and DOI
    were compared with the reference lists of other works in November 2026, but for those of
    DESeq2, PyDESeq2, apeglm and Benjamini-Hochberg.

    Parameters
    ----------
    settings
        The effective configuration.
    packages
        Package → version.
    collections
        The gene-set collections that were tested, as ``cards.load_collections`` returns them.
    """
    rows = [
        *_tissue(settings, packages),
        *_single_cells(settings),
        *_blocks_and_pathways(settings, packages),
        *(_collection(entry) for entry in collections.values()),
        *_synthesis(settings),
    ]
    return [dict(zip(("step", "text", "citation", "doi"), row, strict=True)) for row in rows]


Row = tuple[str, str, str, str]
"""Step, text, citations, DOIs."""


def _tissue(settings: Mapping[str, Any], packages: Mapping[str, str]) -> list[Row]:
    counts, de, qc = (settings["bulk"][key] for key in ("counts", "de", "qc"))
    engine = "all genes at once" if de["inference"] == "batched" else "gene by gene"
    rows = [
        (
            "Data",
            "Files named on the study cards are downloaded once and verified by sha256; "
            "the provenance page lists each.",
            "",
            "",
        ),
        (
            "Gene identity",
            "Source ids are mapped to Ensembl gene ids and current symbols with a pinned table. "
            "Rows that cannot be mapped keep their id and stay in the fit; rows of one gene are "
            "summed.",
            "",
            "",
        ),
        (
            "Sample quality",
            f"Flags: {', '.join(metrics.methods(qc, arrays=False))}, expressed sex against "
            "declared sex. A flag never removes a sample.",
            "",
            "",
        ),
        (
            "Differential expression",
            f"Genes with at least {counts['min_total']} reads over a model's samples. PyDESeq2 "
            f"{packages['pydeseq2']}, fitted {engine}: median-of-ratios size factors, one "
            "negative-binomial fit for all groups of a design, Cook's replacement; fitted means "
            f"floored at 0.5 as in R; {_TEST[de['distribution']]}. Fewer than "
            f"{de['min_replicates']} donors a side: effects without p-values. "
            f"{_REFERENCE[de['distribution']]} Designs with more than two groups, or with an "
            "interaction, also get likelihood-ratio tests over all of them at the same dispersions"
            + (
                ", read against F with those degrees of freedom."
                if de["distribution"] == "quasi"
                else ", read against chi-squared."
            ),
            "Love, Huber & Anders 2014; Muzellec et al. 2023",
            "10.1186/s13059-014-0550-8; 10.1093/bioinformatics/btad547",
        ),
        (
            "A hidden factor",
            "The strongest factor that the design leaves in log expression (residuals' first "
            "singular vector), and how far the sides of a contrast lean along it (robust slope of "
            "the genes' effects on their loadings, read against t). "
            + (
                "Fold changes, their intervals and p are each gene's own. p-values are adjusted "
                "over genes after as much of the lean is taken off as chance gives in 95 of 100 "
                "draws; errors without the factor's part of the variance, widened until the middle "
                "of the statistics fits, at most to what they are with it. What goes beyond chance "
                "stays: a condition may act along the factor."
                if de["hidden_factor"]
                else "Said, not taken into account."
            )
            + " Beside it, which calls stay with the whole factor in a linear model with moderated "
            "t.",
            "Leek & Storey 2007; Efron 2004; Efron 2007; Wang et al. 2017",
            "10.1371/journal.pgen.0030161; 10.1198/016214504000000089; "
            "10.1198/016214506000001211; 10.1214/16-AOS1511",
        ),
        (
            "Repeated donors",
            "The donor is the unit. Several samples of one donor in one group are added up "
            "(arrays: averaged) before the fit where no column of the sheet tells them apart or "
            "the study card calls them technical; where the donor is the model's block, that takes "
            "care of them; else they are modelled as correlated: genes by voom and a consensus "
            "correlation as limma's duplicateCorrelation, programmes by sums over donors.",
            "Smyth, Michaud & Scott 2005; Law et al. 2014",
            "10.1093/bioinformatics/bti270; 10.1186/gb-2014-15-2-r29",
        ),
        (
            "Arrays",
            "Intensities are brought to log2 by their range (linear ones after raising those below "
            "16 to 16), chips of one sample put together, probes led to genes by the platform's "
            "annotation; of several probes the one of highest mean intensity, never of largest "
            "effect. Moderated t (F over several terms) "
            + ("with" if settings["bulk"]["arrays"]["trend"] else "without")
            + " a mean-variance trend, no filter. Flags that need reads do not apply; flagged are "
            f"{' and '.join(metrics.methods(qc, arrays=True))}.",
            "Smyth 2004; Ritchie et al. 2015",
            "10.2202/1544-6115.1027; 10.1093/nar/gkv007",
        ),
    ]
    if de["shrink"]:
        rows.append(
            (
                "Shrunken effects",
                "apeglm prior, as an extra column; ranking and intervals use the unshrunken value.",
                "Zhu, Ibrahim & Love 2019",
                "10.1093/bioinformatics/bty895",
            )
        )
    return rows


def _single_cells(settings: Mapping[str, Any]) -> list[Row]:
    prepare, embed = settings["cells"]["prepare"], settings["cells"]["embed"]
    return [
        (
            "Single cells and nuclei, quality",
            f"Per sample: counts and genes within {prepare['n_mads']:g} median absolute deviations "
            f"(log scale), at least {prepare['min_genes']} genes, mitochondrial share within "
            f"{prepare['n_mads_mito']:g} deviations and at most "
            f"{prepare['max_pct_mito']['nuclei']:g} % in nuclei, "
            f"{prepare['max_pct_mito']['cells']:g} % in cells (spots: no limit). Doublets by "
            "Scrublet per sample; ambient RNA estimated from myofibre transcripts in other cells, "
            "and removed where the unfiltered matrix is public.",
            "Wolock, Lopez & Klein 2019; Young & Behjati 2020; Heumos et al. 2023",
            "10.1016/j.cels.2018.11.005; 10.1093/gigascience/giaa151; 10.1038/s41576-023-00586-w",
        ),
        (
            "Single cells and nuclei, types",
            f"{settings['cells']['variable']['n_top_genes']:,} genes that vary within samples, "
            f"{embed['n_pcs']} components"
            + (", Harmony over samples" if embed["over_samples"] else "")
            + f", {embed['n_neighbors']} neighbours, Leiden at resolution {embed['resolution']:g}. "
            "Clusters are named by a panel of markers; without two raised markers, a score of "
            f"{settings['cells']['annotate']['min_score']:g}, a lead over other lineages and "
            f"{settings['cells']['annotate']['min_carried']['nuclei']:.0%} of the type's markers "
            f"among the {settings['cells']['annotate']['n_first']} genes that stand out most they "
            "stay unassigned. Spots hold several cells: they are called by the types of which "
            f"{settings['cells']['annotate']['min_carried']['spots']:.0%} of the markers are among "
            "these genes. One machine repeats its results exactly; on another, cells "
            "between two clusters and coordinates of the map may differ.",
            "Korsunsky et al. 2019; Traag, Waltman & van Eck 2019; Ianevski, Giri & "
            "Aittokallio 2022",
            "10.1038/s41592-019-0619-0; 10.1038/s41598-019-41695-z; 10.1038/s41467-022-28803-w",
        ),
        (
            "Single cells and nuclei, comparison",
            "The donor is the unit. Counts are summed per sample and cell type "
            f"({settings['cells']['pseudobulk']['min_cells']} cells or more) and compared as "
            "tissue is. Shares of cell types: moderated t on "
            f"{settings['cells']['composition']['transform']}-transformed shares. Cells are never "
            "counted as replicates.",
            "Squair et al. 2021; Phipson et al. 2022",
            "10.1038/s41467-021-25960-2; 10.1093/bioinformatics/btac582",
        ),
    ]


def _blocks_and_pathways(settings: Mapping[str, Any], packages: Mapping[str, str]) -> list[Row]:
    sizes, ora = settings["enrichment"]["sizes"], settings["enrichment"]["ora"]
    return [
        (
            "Programme effects",
            "The mean over a block's genes of their log2 fold changes, in their own direction, "
            "with an error that knows the genes' correlation (from the study's residuals, "
            "moderated over blocks, on its residual degrees of freedom); beside it the same with "
            "scores of myofibre, fibro-adipogenic and macrophage content in the model, which leave "
            "out the block's own genes. Each block is also computed without the denervation "
            "signature's genes, except where more than half of it would go. The competitive test "
            f"asks whether a block moves more than {settings['programmes']['n_matched']} sets of "
            "equal size and expression, on scores per sample (mean variance-stabilised log2 "
            "expression).",
            "Smyth 2004; Wu & Smyth 2012",
            "10.2202/1544-6115.1027; 10.1093/nar/gks461",
        ),
        (
            "Composition by nuclei",
            "Where a study of single nuclei of the species takes part, whole tissue by read counts "
            "is adjusted a second time. Profiles of cell types (controls; of several studies the "
            f"one with most donors), over up to {proportions.MOST_GENES} genes a type with at "
            f"least {proportions.LEAST_CPM:g} counts per million there and "
            f"{proportions.LEAST_FOLD:g} times as many as in any other lineage, none of them a "
            "gene of a programme or claim, are mixed by non-negative least squares: once, and once "
            "more with every gene on the level that the tissue has of it. The logarithms of the "
            "shares of RNA of fibres, fibro-adipogenic cells and macrophages then stand in the "
            "model in place of marker scores. Not where the first mixtures correlate with the "
            f"samples by less than {proportions.LEAST_FIT:g}. Shares are of RNA, not of cells; "
            "RNA of nuclei is not that of tissue, so that differences between samples count and "
            "the level of a share does not; and the method is checked on simulated nuclei and on "
            "mixtures of real biopsies, not on real nuclei of muscle.",
            "Lawson & Hanson 1974; Wang et al. 2019",
            "10.1137/1.9781611971217; 10.1038/s41467-018-08023-x",
        ),
        (
            "Pathways",
            f"Sets of {sizes['min_size']} to {sizes['max_size']} measured genes; mouse genes enter "
            "under the symbol of their 1:1 human ortholog. A set is treated as a block: mean "
            "variance-stabilised log2 expression per sample, regressed on the contrast's design, "
            "standard errors moderated over the collection's sets, and compared with "
            f"{settings['enrichment']['sets']['n_matched']} sets of equal size and expression. "
            "This p-value is the evidence: its error comes from the samples, so correlation "
            "between a set's genes counts. Beside it, in the full table: camera with the "
            "correlation estimated per set (it holds its level and finds less where many genes "
            f"move), and over-representation among genes at adjusted p < {ora['padj']:g}, up and "
            "down apart, with the tested genes as background. Sets that share half of the smaller "
            "leading edge and the direction are shown under the one of smallest p; all stay in the "
            "table.",
            "Wu & Smyth 2012",
            "10.1093/nar/gks461",
        ),
        (
            "Pathways, ranking",
            f"Preranked enrichment on the test statistic (gseapy {packages['gseapy']}, multilevel, "
            f"seed {settings['seed']}). The normalised score (NES) describes where a set's genes "
            "lie in the ranking. Its p-value takes genes as independent, which in muscle they are "
            "not, and is no evidence.",
            "Subramanian et al. 2005; Fang, Liu & Peltz 2023; Korotkevich et al. 2021",
            "10.1073/pnas.0506580102; 10.1093/bioinformatics/btac757; 10.1101/060012",
        ),
    ]


def _synthesis(settings: Mapping[str, Any]) -> list[Row]:
    rules, axis = settings["synthesis"]["rules"], settings["synthesis"]["denervation"]
    correlation = settings["synthesis"]["contrasts"]["block_correlation"]
    donors = settings["synthesis"]["contrasts"]["min_donors"]
    return [
        (
            "What may be pooled",
            f"Contrasts of one role with at least {donors} donors a side whose condition can be "
            "told from every recorded column; simulated studies never with real ones. Effects that "
            "share donors, controls or a laboratory are combined first, with an assumed "
            f"correlation of {rules['rho']:g}; the range over 0 to 0.95 is kept in the table. "
            "Where only gene effects are published, a block's effect is their mean, its error "
            "taking the block's genes as correlated as in the studies of the same species' muscle "
            f"with samples (median, but at least {correlation:g}).",
            "Borenstein et al. 2009",
            "10.1002/9780470743386",
        ),
        (
            "Pooling",
            "Random effects over independent clusters. How much studies differ is learned from all "
            "keys of a role: one variance between studies for the weights, and a Knapp–Hartung "
            "factor per key that is squeezed over keys as limma squeezes variances, never below "
            "1; t on k - 1 plus the prior's degrees of freedom. Large effects differ more between "
            "studies, each of which holds its share of them: intervals are longer away from 0, and "
            "p asks whether the effect is 0, which has no shares. Beside it each key's own REML "
            "estimate (modified Knapp–Hartung), and a Bayesian one with a half-normal prior on the "
            f"standard deviation between studies (scale {rules['tau_scale']:g}), which gives the "
            "prediction interval and the probabilities. One study keeps its own t interval. "
            "Leave-one-out. Species are kept apart, and joined through 1:1 orthologs only beside "
            "the split.",
            "Smyth 2004; Röver, Knapp & Friede 2015; Röver 2020; Viechtbauer & López-López 2022; "
            "Fieller 1954",
            "10.2202/1544-6115.1027; 10.1186/s12874-015-0091-1; 10.18637/jss.v093.i06; "
            "10.1002/jrsm.1562; 10.1111/j.2517-6161.1954.tb00159.x",
        ),
        (
            "Denervation axis",
            "Lambda: weighted slope of a contrast's gene effects on those of a denervation "
            "reference of the same species and kind of platform, corrected for the reference's "
            "noise (of several independent references, by what they have in common: each is the "
            f"others' instrument), the tested block left out; interval from {axis['n_replicates']} "
            "resamplings of donors (analytic where only effects are published). Delta = effect - "
            "lambda × reference effect; its error holds how far single genes' slopes lie from "
            "lambda, since muscle denervated for longer, or in another way, follows no reference "
            "closely: not explained by this reference, no more, since denervation is a mediator of "
            f"ALS. No lambda where less than {axis['min_reliability']:.0%} of the reference's "
            "squared effects is signal.",
            "Fuller 1987; Rao & Wu 1988",
            "10.1002/9780470316665; 10.1080/01621459.1988.10478591",
        ),
        (
            "Verdicts",
            f"Rules fixed in advance: level {rules['alpha']:g} on adjusted p; effects within "
            f"±{rules['block_margin']:g} (blocks) or ±{rules['gene_margin']:g} (genes, ratios) "
            "count as none. One primary test per claim and side decides, and a claim is never "
            "better than the tests its sentence needs. Support needs the effect, its part beyond "
            "denervation (90 % interval beyond that size, where denervation could explain it) and "
            "the effect adjusted for tissue composition (same sign, interval beyond 0, at least "
            f"{rules['kept_share']:.0%} of the size, unless the claim is about the amount of a "
            "cell type; by proportions from nuclei only sign and interval, of the level, where "
            f"{rules['min_studies']} independent studies have them), each from at least "
            f"{rules['min_studies']} independent studies "
            f"({rules['min_direct']} direct contrasts with "
            "another neurogenic disease); with fewer it is suggested. At most "
            f"{rules['random_share']:.0%} of {axis['n_random']} matched random sets may move as "
            "far. Contradicted only where the interval lies beyond that size on the other side. "
            "Bulk tissue never decides a claim about satellite cells. Lists of called genes can "
            "suggest, never support. Where data are not enough stands the effect that the whole "
            f"rule would have found in {rules['power']:.0%} of simulations.",
            "Murphy & Myors 1999; Julious 2004",
            "10.1037/0021-9010.84.2.234; 10.1002/sim.1783",
        ),
        (
            "Multiple testing",
            "Benjamini–Hochberg within one contrast; within one role, species and cell type for "
            "pooled effects; for verdicts over primary tests, and over the others, with enough "
            "studies and with fewer apart: a test that cannot decide moves no other.",
            "Benjamini & Hochberg 1995",
            "10.1111/j.2517-6161.1995.tb02031.x",
        ),
    ]


def _collection(entry: Mapping[str, Any]) -> Row:
    """Say what a gene-set collection is, of which version and under which terms."""
    count = f"{entry['sets']:,} sets. " if entry.get("sets") else ""
    return (
        f"Gene sets: {entry['title']}",
        f"Version {entry['version']}. {count}Licence: {entry['licence']}. "
        f"sha256 {entry['sha256']}. {entry.get('note', '')}".strip(),
        str(entry["cite"]),
        "",
    )
