# Writes values.tsv: DESeq2 on counts.tsv and obs.tsv of this folder, three designs; and t.tsv: the
# same p-values from Student's t, for the designs in which no count is replaced (nbinomWaldTest, which
# takes the degrees of freedom, would see the counts before replacement).
# Run in this folder: Rscript script.R
suppressPackageStartupMessages(library(DESeq2))
counts <- as.matrix(read.delim("counts.tsv", row.names = 1))
obs <- read.delim("obs.tsv", row.names = 1)
obs$condition <- factor(obs$condition, levels = c("control", "treated"))
obs$batch <- factor(obs$batch)
small <- obs$small == "True"

run <- function(case, samples, design) {
  dds <- DESeq(DESeqDataSetFromMatrix(counts[, samples], obs[samples, ], design), quiet = TRUE)
  found <- results(dds, contrast = c("condition", "treated", "control"), alpha = 0.05)
  data.frame(
    case = case, gene_id = rownames(counts), base_mean = found$baseMean,
    dispersion = dispersions(dds), log2fc = found$log2FoldChange, lfc_se = found$lfcSE,
    stat = found$stat, pvalue = found$pvalue, padj = found$padj,
    replaced = if (is.null(mcols(dds)$replace)) FALSE else mcols(dds)$replace
  )
}

student <- function(case, samples, design) {
  dds <- DESeq(DESeqDataSetFromMatrix(counts[, samples], obs[samples, ], design), quiet = TRUE)
  stopifnot(is.null(mcols(dds)$replace) || !any(mcols(dds)$replace, na.rm = TRUE))
  prior <- attr(dispersionFunction(dds), "dispPriorVar")
  terms <- length(resultsNames(dds))
  # Share of each statistic's variance that is due to dispersion.
  X <- model.matrix(design, colData(dds))
  target <- "conditiontreated"
  share <- sapply(seq_len(nrow(dds)), function(gene) {
    alpha <- dispersions(dds)[gene]
    if (is.na(alpha)) return(NA)
    mu <- pmax(assays(dds)[["mu"]][gene, ], 0.5)
    w <- mu / (1 + alpha * mu)
    inverse <- solve(crossprod(X, w * X))
    moved <- inverse %*% crossprod(X, w^2 * X) %*% inverse
    alpha * moved[target, target] / inverse[target, target]
  })
  df <- ncol(dds) - terms + 2 * limma::trigammaInverse(prior) / share^2
  dds <- nbinomWaldTest(dds, useT = TRUE, df = df, quiet = TRUE)
  found <- results(dds, name = "condition_treated_vs_control", alpha = 0.05)
  data.frame(
    case = case, gene_id = rownames(counts), dispersion_prior = prior, df = df, stat = found$stat,
    pvalue = found$pvalue, padj = found$padj
  )
}

rounded <- function(table) {
  numbers <- sapply(table, is.numeric)
  table[numbers] <- lapply(table[numbers], signif, 10)
  table
}

save <- function(table, file) {
  write.table(rounded(table), file, sep = "\t", quote = FALSE, row.names = FALSE, na = "")
}

table <- rbind(
  run("two_group", rep(TRUE, nrow(obs)), ~condition),
  run("covariate", rep(TRUE, nrow(obs)), ~ batch + condition),
  run("five_a_side", small, ~condition)
)
save(table, "values.tsv")
save(rbind(
  student("covariate", rep(TRUE, nrow(obs)), ~ batch + condition),
  student("five_a_side", small, ~condition)
), "t.tsv")
writeLines(
  c(R.version.string, paste("DESeq2", packageVersion("DESeq2")), paste("limma", packageVersion("limma"))),
  "versions.txt"
)
