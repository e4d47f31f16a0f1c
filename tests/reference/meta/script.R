# Reference values from metafor for the inputs beside this file.
# Run: Rscript script.R  (writes values.csv and versions.txt)
suppressPackageStartupMessages(library(metafor))
y <- as.matrix(read.csv("effect.csv", row.names = 1))
s <- as.matrix(read.csv("se.csv", row.names = 1))
rows <- list()
for (key in rownames(y)) {
  ok <- !is.na(y[key, ])
  yi <- y[key, ok]
  vi <- s[key, ok]^2
  for (method in c("REML", "PM")) {
    # The default stopping rules (1e-5 for REML) are coarser than the comparison's tolerance, and
    # full Fisher steps cycle for one of the refits: halved steps reach the same root.
    control <- if (method == "REML")
      list(threshold = 1e-11 * (mean(vi) + var(yi)), maxiter = 100000, stepadj = 0.5)
    else list(tol = 1e-14, maxiter = 100000, tau2.max = 1e6)
    fit <- function(yi, vi, test) rma(yi, vi, method = method, test = test, control = control)
    for (test in c("z", "knha", "adhoc")) {
      x <- fit(yi, vi, test)
      p <- predict(x)
      # each refit by its own call, so that nothing is shared with metafor's leave1out()
      loo <- if (length(yi) > 2) sapply(seq_along(yi), function(i) c(fit(yi[-i], vi[-i], test)$beta))
             else rev(yi)
      rows[[length(rows) + 1]] <- data.frame(
        key = key, estimator = method, test = test, k = x$k, effect = c(x$beta), se = x$se,
        ci_low = x$ci.lb, ci_high = x$ci.ub, pvalue = x$pval, tau2 = x$tau2, i2 = x$I2,
        q = x$QE, q_pvalue = x$QEp, pi_low = p$pi.lb, pi_high = p$pi.ub,
        loo_low = min(loo), loo_high = max(loo))
    }
  }
}
values <- do.call(rbind, rows)
values[-(1:3)] <- lapply(values[-(1:3)], format, digits = 15, trim = TRUE)
write.csv(values, "values.csv", row.names = FALSE, quote = FALSE)
writeLines(c(R.version.string, paste("metafor", packageVersion("metafor"))), "versions.txt")
