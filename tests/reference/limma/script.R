# Writes values.tsv.gz: limma with and without trend on arrays.tsv.gz, voom on ../designs/counts.tsv.gz.
# Run in this folder: Rscript script.R [output folder]
suppressPackageStartupMessages(library(limma))
out <- commandArgs(trailingOnly = TRUE)
out <- if (length(out)) out[1] else "."
arrays <- as.matrix(read.delim(gzfile("arrays.tsv.gz"), row.names = 1))
case <- rep(0:1, each = 7)
age <- rep(c(50, 61, 47, 70, 66, 58, 63), 2) + 3 * case
values <- list()
keep <- function(name, fit, coef) {
  F <- classifyTestsF(fit[, -1], fstat.only = TRUE)
  values[[name]] <<- data.frame(
    case = name, gene_id = rownames(fit), effect = fit$coefficients[, coef],
    se = fit$stdev.unscaled[, coef] * sqrt(fit$s2.post), stat = fit$t[, coef],
    pvalue = fit$p.value[, coef], df = fit$df.total, F = as.numeric(F),
    F_pvalue = pf(as.numeric(F), attr(F, "df1"), attr(F, "df2"), lower.tail = FALSE)
  )
}
plain <- lmFit(arrays, model.matrix(~ case + age))
keep("plain", eBayes(plain), "case")
keep("trend", eBayes(plain, trend = TRUE), "case")

counts <- as.matrix(read.delim(gzfile("../designs/counts.tsv.gz"), row.names = 1))
obs <- read.delim("../designs/obs.tsv", row.names = 1)
counts <- counts[rowSums(counts) > 0, ]
design <- model.matrix(~ sex + batch + genotype, transform(obs, genotype = relevel(factor(genotype), "wildtype")))
weighted <- voom(counts, design)
fit <- eBayes(lmFit(weighted, design))
keep("voom", fit, "genotypesod1")
weights <- data.frame(gene_id = rownames(counts), signif(weighted$weights, 10))
colnames(weights) <- c("gene_id", colnames(counts))

table <- do.call(rbind, values)
numbers <- sapply(table, is.numeric)
table[numbers] <- lapply(table[numbers], signif, 12)
write <- function(frame, name) {
  file <- gzfile(file.path(out, name), "w")
  write.table(frame, file, sep = "\t", quote = FALSE, row.names = FALSE, na = "")
  close(file)
}
write(table, "values.tsv.gz")
write(weights[seq(1, nrow(weights), by = 8), ], "weights.tsv.gz")
writeLines(c(R.version.string, paste("limma", packageVersion("limma"))), file.path(out, "versions.txt"))
