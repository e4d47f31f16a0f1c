# The bulk path as most write it: DESeq2 with all groups, contrasts, vst, components, cameraPR.
# Usage: Rscript path.R, in a folder with counts.tsv (genes x samples), samples.tsv (condition,
# subject_id), symbols.tsv, sets.gmt and contrasts.tsv (id, target, reference, block, within).
suppressPackageStartupMessages({
  library(DESeq2)
  library(limma)
})
counts <- as.matrix(read.delim("counts.tsv", row.names = 1, check.names = FALSE))
obs <- read.delim("samples.tsv", row.names = 1, colClasses = "character")
contrasts <- read.delim("contrasts.tsv", colClasses = "character")
symbols <- read.delim("symbols.tsv", header = FALSE, row.names = 1)
sets <- strsplit(readLines("sets.gmt"), "\t")
names(sets) <- vapply(sets, `[`, "", 1)
sets <- lapply(sets, function(set) set[-(1:2)])

fitted <- function(block, within) {
  part <- if (within == "") obs else obs[obs$condition %in% strsplit(within, ",")[[1]], ]
  part[] <- lapply(part, factor)
  design <- as.formula(paste("~", if (block != "") paste(block, "+ "), "condition"))
  dds <- DESeqDataSetFromMatrix(counts[, rownames(part)], part, design)
  DESeq(dds[rowSums(counts(dds)) >= 10, ], quiet = TRUE)
}
fits <- list()
for (i in seq_len(nrow(contrasts))) {
  one <- contrasts[i, ]
  key <- paste(one$block, one$within, sep = "|")
  if (is.null(fits[[key]])) fits[[key]] <- fitted(one$block, one$within)
  found <- results(fits[[key]], contrast = c("condition", one$target, one$reference), alpha = 0.05)
  write.table(as.data.frame(found), paste0(one$id, ".de.tsv"), sep = "\t", quote = FALSE)
  ranked <- found$stat[!is.na(found$stat)]
  index <- ids2indices(sets, symbols[rownames(found)[!is.na(found$stat)], 1])
  write.table(cameraPR(ranked, index), paste0(one$id, ".sets.tsv"), sep = "\t", quote = FALSE)
}
main <- if (is.null(fits[["|"]])) fits[[1]] else fits[["|"]]
transformed <- assay(vst(main, blind = FALSE))
chosen <- order(-apply(transformed, 1, var))[1:500]
write.table(prcomp(t(transformed[chosen, ]))$x, "pca.tsv", sep = "\t", quote = FALSE)
write.table(round(transformed, 4), "vst.tsv", sep = "\t", quote = FALSE)
