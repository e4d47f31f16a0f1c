# Frozen values of limma::squeezeVar. Run in this folder: Rscript script.R
suppressPackageStartupMessages(library(limma))
set.seed(20)
chi <- function(n, df) rchisq(n, df) / df
cases <- list(
  scatter = list(s2 = 0.3 * chi(40, 6) / chi(40, 4), df = rep(6, 40)),
  unequal_df = list(s2 = 2 * chi(25, 8) / chi(25, 10), df = rep(c(3, 5, 8, 12, 20), 5)),
  no_excess = list(s2 = c(0.9, 1, 1.1, 1.05, 0.95, 1.02), df = rep(10, 6)),
  few = list(s2 = c(0.02, 0.9, 4), df = rep(7, 3)),
  two = list(s2 = c(0.02, 4), df = rep(3, 2)),
  zeros = list(s2 = c(0, 0.4, 0.6, 3, 0.1, 0.9, 0.02), df = rep(4, 7)),
  missing = list(s2 = c(NA, 0.4, 0.6, 3, 0.1, 0.9, 0.02), df = rep(4, 7)),
  zero_df = list(s2 = c(5, 0.4, 0.6, 3, 0.1, 0.9, 0.02), df = c(0, rep(4, 6))),
  huge_scatter = list(s2 = 10^(-4:4), df = rep(12, 9))
)
out <- do.call(rbind, lapply(names(cases), function(name) {
  case <- cases[[name]]
  fit <- suppressWarnings(squeezeVar(case$s2, case$df))
  data.frame(case = name, s2 = case$s2, df = case$df, var_post = fit$var.post,
             var_prior = fit$var.prior, df_prior = fit$df.prior)
}))
out[] <- lapply(out, function(x) if (is.numeric(x)) sprintf("%.17g", x) else x)
write.table(out, "values.tsv", sep = "\t", quote = FALSE, row.names = FALSE)
cat(R.version.string, "limma", as.character(packageVersion("limma")), "\n")
