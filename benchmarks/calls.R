# What edgeR's quasi-likelihood test, limma-voom and DESeq2 call on thinned counts.
# Usage: Rscript calls.R <folder>...; a folder holds counts.bin (32-bit integers, genes fastest; the
# first half of the samples is the target) and genes.txt. Writes r.tsv: adjusted p and direction per gene.
suppressPackageStartupMessages({
  library(edgeR)
  library(DESeq2)
})
for (folder in commandArgs(trailingOnly = TRUE)) {
  genes <- readLines(file.path(folder, "genes.txt"))
  size <- file.size(file.path(folder, "counts.bin")) / 4
  counts <- matrix(readBin(file.path(folder, "counts.bin"), "integer", size, size = 4),
    nrow = length(genes), dimnames = list(genes, NULL)
  )
  n <- ncol(counts) / 2
  side <- factor(rep(c("target", "reference"), each = n), levels = c("reference", "target"))
  design <- model.matrix(~side)
  y <- DGEList(counts)
  kept <- filterByExpr(y, design)
  y <- calcNormFactors(y[kept, , keep.lib.sizes = FALSE])
  y <- estimateDisp(y, design)
  quasi <- glmQLFTest(glmQLFit(y, design), coef = 2)$table
  linear <- eBayes(lmFit(voom(y, design), design))
  result <- data.frame(gene = genes, edgeR = NA, voom = NA, DESeq2 = NA, edgeR_up = NA, voom_up = NA)
  result$edgeR[kept] <- p.adjust(quasi$PValue, "BH")
  result$edgeR_up[kept] <- quasi$logFC > 0
  result$voom[kept] <- p.adjust(linear$p.value[, 2], "BH")
  result$voom_up[kept] <- linear$coefficients[, 2] > 0
  dds <- DESeqDataSetFromMatrix(counts, data.frame(side = side), ~side)
  found <- results(DESeq(dds, quiet = TRUE), alpha = 0.05)
  result$DESeq2 <- found$padj
  result$DESeq2_up <- found$log2FoldChange > 0
  write.table(result, file.path(folder, "r.tsv"), sep = "\t", row.names = FALSE, quote = FALSE)
}
