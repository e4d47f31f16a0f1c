# Frozen values of limma's moderated t on transformed proportions. Run here: Rscript script.R
# counts.tsv is drawn once below and kept.
suppressPackageStartupMessages(library(limma))
set.seed(11)
donors <- sprintf("D%02d", 1:12)
group <- rep(c("control", "ALS"), 6)
age <- round(runif(12, 45, 75))
p <- c(0.45, 0.2, 0.12, 0.1, 0.06, 0.04, 0.03)
counts <- t(sapply(seq_along(donors), function(i) {
  odds <- if (group[i] == "ALS") p * c(1, 1, 1, 1, 2.5, 1, 1) else p
  share <- rgamma(7, 80 * odds)
  rmultinom(1, 800, share / sum(share))[, 1]
}))
counts[3, 7] <- 0  # a donor without one type
dimnames(counts) <- list(donors, paste0("T", 1:7))
write.table(data.frame(donor = donors, group = group, age = age, counts), "counts.tsv",
            sep = "\t", quote = FALSE, row.names = FALSE)

logit <- function(x) { s <- (x + 0.5) / rowSums(x + 0.5); log(s / (1 - s)) }
arcsine <- function(x) asin(sqrt(x / rowSums(x)))
run <- function(case, rows, transform, formula, coefficient) {
  data <- data.frame(group = factor(group, c("control", "ALS")), age = age)[rows, ]
  design <- model.matrix(formula, data)
  fit <- lmFit(t(transform(counts[rows, ])), design)
  fit <- eBayes(contrasts.fit(fit, coefficients = coefficient))
  data.frame(case = case, cell_type = rownames(fit$coefficients), effect = fit$coefficients[, 1],
             se = fit$stdev.unscaled[, 1] * sqrt(fit$s2.post), stat = fit$t[, 1],
             df = fit$df.total, pvalue = fit$p.value[, 1],
             padj = p.adjust(fit$p.value[, 1], "BH"))
}
out <- rbind(
  run("logit", 1:12, logit, ~group, "groupALS"),
  run("arcsine", 1:12, arcsine, ~group, "groupALS"),
  run("logit_age", 1:12, logit, ~ group + age, "groupALS"),
  run("logit_few", 1:6, logit, ~group, "groupALS")
)
out[] <- lapply(out, function(x) if (is.numeric(x)) sprintf("%.17g", x) else x)
write.table(out, "values.tsv", sep = "\t", quote = FALSE, row.names = FALSE)
cat(R.version.string, "limma", as.character(packageVersion("limma")), "\n")
