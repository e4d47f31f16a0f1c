from alsmuscle import counts, genes, io, log, qc, samples

with log.job(snakemake.log[0]):
    card = snakemake.params.card
    spec = card["counts"]
    manifest = io.read_table(snakemake.input.manifest, "manifest")
    path = io.cached(manifest, spec["file"])
    members = card["files"][spec["file"]].get("members", {})
    matrix, symbols = io.read_matrix(path, spec, members)
    where = f"{card['id']}: {path}"

    sheet_spec = card["samples"]["sheet"]
    if sheet_spec["layout"] == "count_columns":
        sheet = samples.from_columns(matrix.columns)
    else:
        sheet = io.read_sheet(io.cached(manifest, sheet_spec["file"]), sheet_spec)
    kept, excluded = samples.harmonise(sheet, card)
    columns, excluded = samples.match_matrix(list(matrix.columns), kept, excluded, card)

    raw, notes = counts.as_counts(
        matrix[list(columns)].rename(columns=columns), spec["type"], where
    )
    table = io.read_gene_table(card["organism"])
    identity = genes.identify(raw.index, table, symbols=symbols, where=where)
    adata = counts.assemble(
        raw,
        identity,
        kept,
        {
            "files": manifest[["name", "url", "sha256"]].to_dict("list"),
            "notes": notes,
            "samples_in_source": len(sheet),
        },
    )
    derived = qc.technical(adata)
    derived["sex_inferred"] = qc.sex_expression(adata, card["organism"])["sex_inferred"]
    adata.obs = adata.obs.join(derived)
    kept = kept.join(derived, on="sample_id")
    io.write_h5ad(snakemake.output.counts, io.contracts.check_counts(adata, where))
    io.write_table(snakemake.output.samples, kept, "samples")
    io.write_table(snakemake.output.excluded, excluded, "excluded")
