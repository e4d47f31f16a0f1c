# Writes values.tsv.gz and size_factors.tsv: DESeq2 on counts.tsv.gz and obs.tsv of this folder.
# Run in this folder: Rscript script.R [output folder]
suppressPackageStartupMessages(library(DESeq2))
out <- commandArgs(trailingOnly = TRUE)
out <- if (length(out)) out[1] else "."
counts <- as.matrix(read.delim(gzfile("counts.tsv.gz"), row.names = 1))
obs <- read.delim("obs.tsv", row.names = 1, colClasses = "character")
obs$genotype <- factor(obs$genotype, levels = c("wildtype", "sod1"))
for (column in c("day", "donor", "sex", "batch")) obs[[column]] <- factor(obs[[column]])
severity <- as.numeric(obs$severity)
spread <- sqrt(mean((severity - mean(severity))^2))
obs$scaled <- (severity - mean(severity)) / spread

fit <- function(design, ...) {
  DESeq(DESeqDataSetFromMatrix(counts, obs, design), quiet = TRUE, ...)
}
values <- list()
keep <- function(case, dds, found, unit = 1) {
  replaced <- if (is.null(mcols(dds)$replace)) FALSE else mcols(dds)$replace
  values[[case]] <<- data.frame(
    case = case, gene_id = rownames(counts), base_mean = found$baseMean,
    log2fc = found$log2FoldChange / unit, lfc_se = found$lfcSE / unit, stat = found$stat,
    pvalue = found$pvalue, padj = found$padj, replaced = replaced
  )
}
read <- function(dds, ...) results(dds, alpha = 0.05, ...)

two <- fit(~genotype)
keep("two_group", two, read(two, contrast = c("genotype", "sod1", "wildtype")))
covariate <- fit(~ batch + genotype)
keep("covariate", covariate, read(covariate, contrast = c("genotype", "sod1", "wildtype")))
paired <- fit(~ donor + genotype)
keep("paired", paired, read(paired, contrast = c("genotype", "sod1", "wildtype")))
sexes <- fit(~ genotype * sex)
keep("interaction", sexes, read(sexes, name = "genotypesod1.sexmale"))
number <- fit(~ sex + scaled)
keep("continuous", number, read(number, name = "scaled"), unit = spread)
series <- fit(~ genotype * day)
keep("day30", series, read(series, name = "genotype_sod1_vs_wildtype"))
keep("day90", series, read(series, contrast = list(c("genotype_sod1_vs_wildtype", "genotypesod1.day90"))))
# The least-squares slope of the differences at 30, 60 and 90 days.
slope <- as.numeric(resultsNames(series) == "genotypesod1.day90") / 60
keep("trend", series, read(series, contrast = slope))
any <- fit(~ genotype * day, test = "LRT", reduced = ~day)
keep("lrt_any", any, read(any))
change <- fit(~ genotype * day, test = "LRT", reduced = ~ genotype + day)
keep("lrt_change", change, read(change))
groups <- fit(~ sex + day, test = "LRT", reduced = ~sex)
keep("lrt_groups", groups, read(groups))

table <- do.call(rbind, values)
numbers <- sapply(table, is.numeric)
table[numbers] <- lapply(table[numbers], signif, 9)
file <- gzfile(file.path(out, "values.tsv.gz"), "w")
write.table(table, file, sep = "\t", quote = FALSE, row.names = FALSE, na = "")
close(file)
factors <- data.frame(sample_id = colnames(counts), size_factor = sprintf("%.15g", sizeFactors(two)))
write.table(factors, file.path(out, "size_factors.tsv"), sep = "\t", quote = FALSE, row.names = FALSE)
writeLines(c(R.version.string, paste("DESeq2", packageVersion("DESeq2"))), file.path(out, "versions.txt"))
