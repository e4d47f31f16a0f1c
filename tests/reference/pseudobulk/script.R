# DESeq2 on the sums of one cell type. Run in this folder: Rscript script.R
suppressMessages(library(DESeq2))
counts <- as.matrix(read.delim("counts.tsv", row.names = 1, check.names = FALSE))
obs <- read.delim("obs.tsv")
obs$condition <- relevel(factor(obs$condition), "control")
obs$sex <- factor(obs$sex)
stopifnot(identical(colnames(counts), obs$sample_id))
tables <- list()
for (design in c("condition", "sex+condition")) {
  dds <- DESeqDataSetFromMatrix(counts, obs, as.formula(paste("~", design)))
  dds <- DESeq(dds[rowSums(counts) >= 10, ], quiet = TRUE)
  found <- as.data.frame(results(dds, contrast = c("condition", "als", "control"), alpha = 0.05))
  tables[[design]] <- data.frame(design = design, gene_id = rownames(found), found)
}
write.table(format(do.call(rbind, tables), digits = 10), "values.tsv", sep = "\t", quote = FALSE, row.names = FALSE)
writeLines(c(R.version.string, paste("DESeq2", packageVersion("DESeq2"))), "versions.txt")
