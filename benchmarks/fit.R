# One engine on one input: fit + test, timed without loading packages or reading the counts.
# Usage: Rscript fit.R <engine> <threads> <folder>; the folder holds counts.bin (32-bit integers,
# genes fastest), genes.txt, obs.tsv (first column the sample, the last the tested factor) and
# levels.tsv (factor and level, in order, the reference first).
arguments <- commandArgs(trailingOnly = TRUE)
engine <- arguments[1]
threads <- as.integer(arguments[2])
folder <- arguments[3]
suppressPackageStartupMessages(switch(engine,
  DESeq2 = { library(DESeq2); library(BiocParallel) },
  edgeR = library(edgeR),
  limma = library(edgeR)
))

obs <- read.delim(file.path(folder, "obs.tsv"), row.names = 1, check.names = FALSE)
levels_of <- read.delim(file.path(folder, "levels.tsv"), header = FALSE, colClasses = "character")
for (column in colnames(obs)) {
  obs[[column]] <- factor(obs[[column]], levels = levels_of$V2[levels_of$V1 == column])
}
genes <- readLines(file.path(folder, "genes.txt"))
counts <- matrix(
  readBin(file.path(folder, "counts.bin"), "integer", length(genes) * nrow(obs), size = 4),
  nrow = length(genes), dimnames = list(genes, rownames(obs))
)
design <- as.formula(paste("~", paste(colnames(obs), collapse = " + ")))
tested <- colnames(obs)[ncol(obs)]
levels_tested <- levels(obs[[tested]])

gc(reset = TRUE)
seconds <- system.time({
  if (engine == "DESeq2") {
    dds <- DESeqDataSetFromMatrix(counts, obs, design)
    dds <- if (threads > 1) {
      DESeq(dds, quiet = TRUE, parallel = TRUE, BPPARAM = MulticoreParam(threads))
    } else {
      DESeq(dds, quiet = TRUE)
    }
    found <- results(dds, contrast = c(tested, levels_tested[2], levels_tested[1]), alpha = 0.05)
    table <- data.frame(
      log2fc = found$log2FoldChange, stat = found$stat, pvalue = found$pvalue, padj = found$padj,
      dispersion = dispersions(dds), base_mean = found$baseMean
    )
  } else {
    X <- model.matrix(design, obs)
    coefficient <- paste0(tested, levels_tested[2])
    y <- calcNormFactors(DGEList(counts))
    if (engine == "edgeR") {
      fit <- glmQLFit(estimateDisp(y, X), X)
      found <- topTags(glmQLFTest(fit, coef = coefficient), n = Inf, sort.by = "none")$table
      table <- data.frame(
        log2fc = found$logFC, stat = found$F, pvalue = found$PValue, padj = found$FDR
      )
    } else {
      fit <- eBayes(lmFit(voom(y, X), X))
      found <- topTable(fit, coef = coefficient, number = Inf, sort.by = "none")
      table <- data.frame(
        log2fc = found$logFC, stat = found$t, pvalue = found$P.Value, padj = found$adj.P.Val
      )
    }
  }
})

write.table(
  cbind(gene_id = genes, format(table, digits = 17, trim = TRUE)),
  file.path(folder, paste0(engine, threads, ".tsv")),
  sep = "\t", quote = FALSE, row.names = FALSE, na = ""
)
peak <- grep("^VmHWM:", readLines("/proc/self/status"), value = TRUE)
cat(as.numeric(gsub("[^0-9]", "", peak)) / 1024, seconds[["elapsed"]], sum(seconds[c("user.self", "sys.self", "user.child", "sys.child")]), "\n")
