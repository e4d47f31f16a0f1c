# What limma makes of repeated samples: duplicateCorrelation with and without weights, the moderated t of
# a generalised least-squares fit, and the two-pass voom pipeline of limma's manual (section 18.1.9).
# Run once: Rscript script.R; writes the inputs and the values beside itself.
suppressPackageStartupMessages({ library(limma); library(statmod) })
set.seed(20)
donors <- 12
donor <- factor(c(rep(seq_len(8), each = 2), 9, 9, 9, 10, 11, 12))
n <- length(donor)
side <- as.integer(as.integer(donor) %in% c(1:4, 9, 10))
region <- c(rep(0:1, 8), 0, 1, 0, 0, 1, 1)
X <- cbind(Intercept = 1, side = side, region = region)
genes <- 150
rho <- runif(genes, 0.2, 0.8)
base <- rnorm(genes, 6, 1.5)
shift <- ifelse(seq_len(genes) <= 30, rnorm(genes, 0, 1), 0)
sigma <- sqrt(0.3 / rchisq(genes, 5) * 5)
person <- matrix(rnorm(genes * donors), genes)[, as.integer(donor)] * sqrt(rho)
own <- matrix(rnorm(genes * n), genes) * sqrt(1 - rho)
mean <- base + outer(shift, side) + outer(rnorm(genes, 0, 0.4), region)
counts <- matrix(rpois(genes * n, 2^(mean + sigma * (person + own))), genes)
dimnames(counts) <- list(paste0("g", seq_len(genes)), paste0("s", seq_len(n)))

write.table(data.frame(donor = donor, side = side, region = region), "samples.tsv",
  sep = "\t", quote = FALSE, row.names = FALSE)
write.table(counts, "counts.tsv", sep = "\t", quote = FALSE)

values <- log2(counts + 0.5)
plain <- duplicateCorrelation(values, X, block = donor)
fit <- eBayes(lmFit(values, X, block = donor, correlation = plain$consensus))
first <- voom(counts, X, plot = FALSE)
one <- duplicateCorrelation(first, X, block = donor)
second <- voom(counts, X, plot = FALSE, block = donor, correlation = one$consensus)
two <- duplicateCorrelation(second, X, block = donor)
last <- eBayes(lmFit(second, X, block = donor, correlation = two$consensus))

own_rho <- function(found) tanh(found$atanh.correlations)
write.table(
  data.frame(
    gene = rownames(counts), plain_rho = own_rho(plain), plain_effect = fit$coefficients[, 2],
    plain_t = fit$t[, 2], plain_df = fit$df.total, voom_rho = own_rho(one),
    voom_effect = last$coefficients[, 2], voom_t = last$t[, 2], voom_df = last$df.total,
    voom_p = last$p.value[, 2]
  ), "values.tsv", sep = "\t", quote = FALSE, row.names = FALSE
)
write.table(format(first$weights, digits = 10), "weights.tsv", sep = "\t", quote = FALSE,
  row.names = FALSE, col.names = FALSE)
write.table(
  data.frame(name = c("plain", "first", "second", "limma"),
    value = c(plain$consensus, one$consensus, two$consensus, as.character(packageVersion("limma")))),
  "consensus.tsv", sep = "\t", quote = FALSE, row.names = FALSE)
