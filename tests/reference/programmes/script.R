# Frozen values for test_programmes_r.py: limma (effects, duplicateCorrelation, camera, cameraPR),
# metafor (escalc), stats (phyper). Run in this folder: Rscript script.R
suppressMessages({library(limma); library(metafor)})
set.seed(20)
n_genes <- 240; n <- 16
samples <- sprintf("s%02d", 1:n)
donor <- rep(sprintf("d%d", 1:8), each = 2)
group <- rep(c("reference", "reference", "target", "target"), length.out = n)[c(1:16)]
time <- rep(c("before", "after"), 8)
age <- round(rnorm(8, 60, 8))[rep(1:8, each = 2)]
donor_effect <- matrix(rnorm(n_genes * 8, sd = 0.4), n_genes)[, rep(1:8, each = 2)]
factor1 <- rnorm(n)
load <- c(rep(0.6, 30), rep(0, n_genes - 30))
y <- 6 + rnorm(n_genes, sd = 2) + donor_effect + outer(load, factor1) +
  matrix(rnorm(n_genes * n, sd = rep(sqrt(0.3 / rchisq(n_genes, 8) * 8), n)), n_genes)
y[1:20, group == "target"] <- y[1:20, group == "target"] + 0.7
y[41:60, group == "target"] <- y[41:60, group == "target"] - 0.5
y[101:115, time == "after"] <- y[101:115, time == "after"] + 0.4
y <- round(y, 4)
genes <- sprintf("g%03d", 1:n_genes)
dimnames(y) <- list(genes, samples)
write.table(data.frame(gene_id = genes, y), "expression.tsv", sep = "\t", quote = FALSE, row.names = FALSE)
meta <- data.frame(sample_id = samples, donor, group, time, age)
write.table(meta, "samples.tsv", sep = "\t", quote = FALSE, row.names = FALSE)

# Blocks: name, sign, gene numbers (the last three genes of "partly" are not measured).
blocks <- list(up = list(1, 1:20), down = list(-1, 41:60), mixed = list(1, seq(5, 100, 7)),
  single = list(1, 7), pair = list(-1, c(45, 46)), time = list(1, 101:115),
  open = list(0, 120:150), partly = list(1, c(151:160, 301:303)), null1 = list(-1, 161:190),
  null2 = list(1, 200:240), fac = list(1, 1:30), tiny = list(1, c(99, 170, 222)))
members <- do.call(rbind, lapply(names(blocks), function(b)
  data.frame(programme = "P", block = b, sign = blocks[[b]][[1]], gene_id = sprintf("g%03d", blocks[[b]][[2]]))))
write.table(members, "members.tsv", sep = "\t", quote = FALSE, row.names = FALSE)
score <- t(sapply(blocks, function(b) {
  rows <- intersect(sprintf("g%03d", b[[2]]), genes)
  (if (b[[1]] == 0) 1 else b[[1]]) * colMeans(y[rows, , drop = FALSE])
}))

moderated <- function(case, design, contrast, ...) {
  fit <- eBayes(contrasts.fit(lmFit(score, design, ...), contrast))
  se <- sqrt(fit$s2.post) * fit$stdev.unscaled[, 1]
  half <- qt(0.975, fit$df.total) * se
  data.frame(case, block = rownames(score), effect = fit$coefficients[, 1], se,
    ci_low = fit$coefficients[, 1] - half, ci_high = fit$coefficients[, 1] + half,
    pvalue = fit$p.value[, 1], padj = p.adjust(fit$p.value[, 1], "BH"), df = fit$df.total)
}
plain <- model.matrix(~ 0 + group + age)
colnames(plain) <- c("reference", "target", "age")
c1 <- c(-1, 1, 0)
paired <- model.matrix(~ donor + relevel(factor(time), "before"))
c2 <- c(rep(0, 8), 1)
dup <- duplicateCorrelation(score, plain, block = donor)
effects <- rbind(moderated("covariate", plain, c1), moderated("paired", paired, c2),
  moderated("donor_random", plain, c1, block = donor, correlation = dup$consensus.correlation))
out <- function(x, file) {
  num <- sapply(x, is.numeric)
  x[num] <- lapply(x[num], function(v) sprintf("%.15g", v))
  write.table(x, file, sep = "\t", quote = FALSE, row.names = FALSE)
}
out(effects, "effects.tsv")

# Hedges g: two independent groups (one sample per donor), and before/after pairs.
first <- time == "before"
m <- function(x) rowMeans(score[, x]); s <- function(x) apply(score[, x], 1, sd)
a <- first & group == "target"; b <- first & group == "reference"
smd <- escalc("SMD", m1i = m(a), sd1i = s(a), n1i = rep(sum(a), nrow(score)), m2i = m(b), sd2i = s(b), n2i = rep(sum(b), nrow(score)))
out(data.frame(block = rownames(score), g = as.numeric(smd$yi), v = smd$vi, n = sum(a) + sum(b)), "hedges.tsv")
pre <- time == "before"; post <- time == "after"
r <- sapply(1:nrow(score), function(i) cor(score[i, pre], score[i, post]))
out(data.frame(block = rownames(score), m_diff = m(post) - m(pre), sd_pre = s(pre), sd_post = s(post), r = r,
  d_raw = (m(post) - m(pre)) / sqrt((s(pre)^2 + s(post)^2) / 2)), "pairs.tsv")

# camera on the genes, with sets of very different correlation and size.
sets <- list(up = 1:20, fac = 1:30, down = 41:60, mixed = seq(5, 100, 7), wide = 61:140,
  late = 200:240, time = 101:115, few = c(3, 50, 150, 220), one = 33)
write.table(do.call(rbind, lapply(names(sets), function(k) data.frame(term = k, gene_id = genes[sets[[k]]]))),
  "sets.tsv", sep = "\t", quote = FALSE, row.names = FALSE)
cam <- function(case, x, stat = NULL) data.frame(case, term = rownames(x), size = x$NGenes,
  correlation = if ("Correlation" %in% names(x)) x$Correlation else NA,
  direction = tolower(x$Direction), pvalue = x$PValue, padj = x$FDR)
fit <- eBayes(contrasts.fit(lmFit(y, plain), c1))
stat <- fit$t[, 1]
out(data.frame(gene_id = genes, t = stat), "statistic.tsv")
out(rbind(
  cam("estimated", camera(y, sets, plain, contrast = c1, inter.gene.cor = NA, sort = FALSE)),
  cam("estimated_negative", camera(y, sets, plain, contrast = c1, inter.gene.cor = NA, allow.neg.cor = TRUE, sort = FALSE)),
  cam("fixed", camera(y, sets, plain, contrast = c1, inter.gene.cor = 0.01, sort = FALSE)),
  cam("preranked", cameraPR(stat, sets, inter.gene.cor = 0.01, sort = FALSE)),
  cam("preranked_0.05", cameraPR(stat, sets, inter.gene.cor = 0.05, sort = FALSE))), "camera.tsv")

# Over-representation of the 40 largest statistics.
top <- order(-stat)[1:40]
out(data.frame(term = names(sets), size = lengths(sets), overlap = sapply(sets, function(i) length(intersect(i, top))),
  pvalue = sapply(sets, function(i) phyper(length(intersect(i, top)) - 1, 40, n_genes - 40, length(i), lower.tail = FALSE))), "ora.tsv")
writeLines(c(R.version.string, paste(c("limma", "statmod", "metafor"), sapply(c("limma", "statmod", "metafor"),
  function(p) as.character(packageVersion(p)))),paste("consensus correlation", sprintf("%.15g", dup$consensus.correlation))), "versions.txt")
