# Writes values.tsv: DESeq2 on counts.tsv and obs.tsv of this folder, three designs.
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

table <- rbind(
  run("two_group", rep(TRUE, nrow(obs)), ~condition),
  run("covariate", rep(TRUE, nrow(obs)), ~ batch + condition),
  run("five_a_side", small, ~condition)
)
numbers <- sapply(table, is.numeric)
table[numbers] <- lapply(table[numbers], signif, 10)
write.table(table, "values.tsv", sep = "\t", quote = FALSE, row.names = FALSE, na = "")
writeLines(c(R.version.string, paste("DESeq2", packageVersion("DESeq2"))), "versions.txt")
