# tximport's numbers for the abundances in this folder; run in it: Rscript script.R
suppressMessages(library(tximport))
files <- paste0("abundance_", 1:4, ".tsv")
names(files) <- paste0("run", 1:4)
tx2gene <- read.delim("tx2gene.tsv")
long <- function(measure, matrix) {
  data.frame(measure = measure, gene = rep(rownames(matrix), ncol(matrix)),
             run = rep(colnames(matrix), each = nrow(matrix)), value = as.vector(matrix))
}
plain <- tximport(files, type = "kallisto", tx2gene = tx2gene)
scaled <- tximport(files, type = "kallisto", tx2gene = tx2gene,
                   countsFromAbundance = "lengthScaledTPM")
table <- rbind(long("counts", plain$counts), long("abundance", plain$abundance),
               long("length", plain$length), long("length_scaled", scaled$counts))
table$value <- formatC(table$value, digits = 15, format = "g")
write.table(table, "values.tsv", sep = "\t", quote = FALSE, row.names = FALSE)
writeLines(c(R.version.string, paste("tximport", packageVersion("tximport"))), "versions.txt")
