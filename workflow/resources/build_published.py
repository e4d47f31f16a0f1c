"""Build the small derived tables of published results, and the genes that named chips measure.

Run from the project's folder, with the pinned originals in a mirror (or reachable):

    python workflow/resources/build_published.py [--mirror FOLDER]

Every derived table is what the workflow itself makes of the original that a study card pins, so
that a run with the original and one with the derived table give the same numbers.
"""

from __future__ import annotations

import argparse
import gzip
import io as text_io
import tempfile
from pathlib import Path

import pandas as pd

from alsmuscle.core import contracts, files
from alsmuscle.data import cards, genes, study_effects
from alsmuscle.data import fetch as obtain
from alsmuscle.data.tables import MANIFEST
from alsmuscle.download import download

HERE = Path(__file__).resolve().parent
# Cards whose published results are embedded: their licences allow it.
EMBEDDED = ("gse3307published", "gse3307calls")
# A public SOFT family file that holds the annotation of both chips of GSE3307.
PLATFORMS = {
    "url": "https://ftp.ncbi.nlm.nih.gov/geo/series/GSEnnn/GSE781/soft/GSE781_family.soft.gz",
    "sha256": "d615b963e65265426740dd115f06d7060dde4d6b9999384f2c397edb0e472e40",
}
CHIPS = ("GPL96", "GPL97")
# Digits that are kept of errors and p-values; enough for every decision and page.
DIGITS = 6


def write(path: Path, table: pd.DataFrame) -> None:
    """Write a table, compressed without a time, so that the same content has the same bytes."""
    text = text_io.StringIO()
    table.to_csv(text, sep="\t", index=False, lineterminator="\n", float_format=f"%.{DIGITS}g")
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content, 9, mtime=0) if path.suffix == ".gz" else content)


def platform_genes(path: Path) -> pd.DataFrame:
    """Return ``platform, gene_id`` of probes that stand for one gene, from a SOFT family file."""
    known, found, chip, rows = files.read_gene_table("human"), [], "", None
    with gzip.open(path, "rt", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("^PLATFORM"):
                chip = line.split("=")[1].strip()
            elif line.startswith("!platform_table_begin"):
                rows = []
            elif line.startswith("!platform_table_end"):
                if rows is not None and chip in CHIPS:
                    table = pd.DataFrame(rows[1:], columns=rows[0])
                    ids = table["ENTREZ_GENE_ID"].str.strip()
                    identity = genes.identify(ids[ids.str.fullmatch(r"\d+")], known, where=path)
                    good = ~identity["status"].isin(["unmapped", "ambiguous"])
                    own = sorted(set(identity.loc[good, "gene_id"]))
                    found.append(pd.DataFrame({"platform": chip, "gene_id": own}))
                rows = None
            elif line.startswith("^SAMPLE"):
                break
            elif rows is not None:
                rows.append(line.rstrip("\n").split("\t"))
    return pd.concat(found, ignore_index=True)


def derive(card: cards.Card, cache: Path, mirror: str | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the derived table of a card and what its import said."""
    manifest, checks = obtain.study_files(card, cache=cache, mirror=mirror)
    table = contracts.rows(manifest, MANIFEST)
    if table.empty:
        raise SystemExit(f"{card['id']}: {checks}")
    if card["modality"] == "effects":
        imported = study_effects.read_effects(card, table)
        return imported.effects.drop(columns="log2fc_shrunk"), imported.notes
    lists = study_effects.read_calls(card, table)
    genes_of_all = pd.concat([called.genes for called in lists.values()], ignore_index=True)
    return genes_of_all, study_effects.call_notes(lists, card["id"])


def main() -> None:
    """Write everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mirror", default=None, help="folder with an index.tsv of url and file")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to")
    options = parser.parse_args()
    folder = options.out / "published"
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as cache:
        soft = Path(cache) / "family.soft.gz"
        download.fetch(PLATFORMS["url"], soft, sha256=PLATFORMS["sha256"], mirror=options.mirror)
        write(options.out / "platform_genes.tsv.gz", platform_genes(soft))
        for name in EMBEDDED:
            card = cards.load_card(f"config/datasets/{name}.yaml")
            table, notes = derive(card, Path(cache), options.mirror)
            write(folder / f"{name}.tsv.gz", table)
            write(folder / f"{name}.imported.tsv", notes)
            print(f"{name}: {len(table):,} rows")


if __name__ == "__main__":
    main()
