# Writes values.tsv.gz: limma on GSE781 (renal carcinoma v kidney, U133A and U133B), with and without
# trend, unpaired and paired. Run in this folder:
#   Rscript script.R GSE781_family.soft.gz [output folder]
# The SOFT family is GEO's; probes.tsv.gz says which gene a probe stands for.
suppressPackageStartupMessages(library(limma))
arguments <- commandArgs(trailingOnly = TRUE)
out <- if (length(arguments) > 1) arguments[2] else "."
source <- gzfile(arguments[1])
lines <- readLines(source)
close(source)

# Every sample's table: intensities by probe, with its title, platform and source.
field <- function(block, name) sub(paste0("^!Sample_", name, " = "), "", grep(paste0("^!Sample_", name, " = "), block, value = TRUE)[1])
starts <- grep("^\\^SAMPLE", lines)
ends <- c(starts[-1] - 1, length(lines))
arrays <- Map(function(first, last) {
  block <- lines[first:last]
  rows <- block[(grep("^!sample_table_begin", block) + 1):(grep("^!sample_table_end", block) - 1)]
  table <- read.delim(text = rows, quote = "", colClasses = "character")
  list(
    sample = sub(" .*", "", field(block, "title")), platform = field(block, "platform_id"),
    carcinoma = !grepl("normal tissue adjacent", field(block, "source_name_ch1")),
    values = setNames(as.numeric(table$VALUE), table$ID_REF)
  )
}, starts, ends)

samples <- unique(sapply(arrays, `[[`, "sample"))
chip <- function(platform) {
  own <- Filter(function(a) a$platform == platform, arrays)
  names(own) <- sapply(own, `[[`, "sample")
  probes <- names(own[[1]]$values)
  log2(pmax(sapply(own[samples], function(a) a$values[probes]), 16))
}
expression <- rbind(chip("GPL96"), chip("GPL97"))
rownames(expression) <- sub("^[^.]*\\.", "", rownames(expression))

# Of a gene's probes that of highest mean.
probes <- read.delim(gzfile("probes.tsv.gz"))
row <- data.frame(row = seq_len(nrow(expression)), probe = rownames(expression), mean = rowMeans(expression))
row <- merge(row[!is.na(row$mean), ], probes)
row <- row[order(row$gene_id, -row$mean, row$probe), ]
row <- row[!duplicated(row$gene_id), ]
genes <- expression[row$row, ]
rownames(genes) <- row$gene_id

carcinoma <- as.numeric(sapply(samples, function(s) Find(function(a) a$sample == s, arrays)$carcinoma))
donor <- factor(sub("^[NC]", "", samples))
values <- list()
keep <- function(case, design, trend) {
  fit <- eBayes(lmFit(genes, design), trend = trend)
  values[[case]] <<- data.frame(
    case = case, gene_id = rownames(fit), probe = row$probe, mean = fit$Amean, effect = fit$coefficients[, "carcinoma"],
    se = fit$stdev.unscaled[, "carcinoma"] * sqrt(fit$s2.post), stat = fit$t[, "carcinoma"],
    pvalue = fit$p.value[, "carcinoma"], df = fit$df.total
  )[seq(1, nrow(fit), by = 16), ]
}
for (trend in c(TRUE, FALSE)) {
  name <- if (trend) "trend" else "plain"
  keep(name, model.matrix(~carcinoma), trend)
  keep(paste0(name, "_paired"), model.matrix(~ carcinoma + donor), trend)
}
table <- do.call(rbind, values)
numbers <- sapply(table, is.numeric)
table[numbers] <- lapply(table[numbers], signif, 10)
file <- gzfile(file.path(out, "values.tsv.gz"), "w")
write.table(table, file, sep = "\t", quote = FALSE, row.names = FALSE, na = "")
close(file)
writeLines(c(R.version.string, paste("limma", packageVersion("limma"))), file.path(out, "versions.txt"))
