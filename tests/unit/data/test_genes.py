"""Gene identity: hand-checked ids (Ensembl, NCBI Gene, HGNC, MGI) and properties."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsmuscle.core.errors import InputError
from alsmuscle.data import genes
from support import ROOT

RESOURCES = ROOT / "workflow" / "resources"


def load(name: str) -> pd.DataFrame:
    return pd.read_csv(RESOURCES / name, sep="\t", dtype=str, keep_default_na=False)


@pytest.fixture(scope="module")
def human() -> pd.DataFrame:
    return load("genes_human.tsv.gz")


@pytest.fixture(scope="module")
def mouse() -> pd.DataFrame:
    return load("genes_mouse.tsv.gz")


@pytest.fixture(scope="module")
def orthologs() -> pd.DataFrame:
    return load("orthologs_human_mouse.tsv.gz")


def make_tiny() -> pd.DataFrame:
    """Nine genes: A is former for B but current itself; OLD is former for two; TWIN has a copy."""
    rows = [
        ("ENSG00000000001", "A", "1", "1", ""),
        ("ENSG00000000002", "B", "2;22", "1", "A;OLDB"),
        ("ENSG00000000003", "C", "3", "1", "OLD"),
        ("ENSG00000000004", "D", "4", "1", "OLD"),
        ("ENSG00000000005", "TWIN", "5", "1", ""),
        ("ENSG00000000006", "TWIN", "", "0", ""),
        ("ENSG00000000007", "Y_RNA", "7", "0", ""),
        ("ENSG00000000008", "Y_RNA", "7", "0", ""),
        ("ENSG00000000009", "", "", "0", ""),
    ]
    return pd.DataFrame(rows, columns=["gene_id", "symbol", "entrez", "primary", "previous"])


@pytest.fixture
def tiny() -> pd.DataFrame:
    return make_tiny()


# Ensembl human, mouse; the mouse symbol where it is not the human one in title case.
KEY = {
    "PAX7": ("ENSG00000009709", "ENSMUSG00000028736"),
    "MYF5": ("ENSG00000111049", "ENSMUSG00000000435"),
    "MYOD1": ("ENSG00000129152", "ENSMUSG00000009471"),
    "MYOG": ("ENSG00000122180", "ENSMUSG00000026459"),
    "MYMK": ("ENSG00000187616", "ENSMUSG00000009214"),
    "MYMX": ("ENSG00000262179", "ENSMUSG00000079471"),
    "CHRNA1": ("ENSG00000138435", "ENSMUSG00000027107"),
    "CHRNG": ("ENSG00000196811", "ENSMUSG00000026253"),
    "SOD1": ("ENSG00000142168", "ENSMUSG00000022982"),
    "TARDBP": ("ENSG00000120948", "ENSMUSG00000041459"),
    "FUS": ("ENSG00000089280", "ENSMUSG00000030795"),
    "DMD": ("ENSG00000198947", "ENSMUSG00000045103"),
    "CDKN1A": ("ENSG00000124762", "ENSMUSG00000023067"),
    "TRP53": ("ENSG00000141510", "ENSMUSG00000059552"),
    "GAPDH": ("ENSG00000111640", "ENSMUSG00000057666"),
    "ACTB": ("ENSG00000075624", "ENSMUSG00000029580"),
}
MORE = (
    "MYF6 MYH3 MYH8 CHRND CHRNE MUSK LRP4 AGRN DOK7 RAPSN COLQ NCAM1 HDAC4 DACH2 GADD45A RUNX1 "
    "FBXO32 TRIM63 PPARGC1A PDK4 IGF1 FST FGF21 MSTN PAX3 NOTCH3 CALCR MKI67 TGFB1 IL6 TNF SLN "
    "CDKN2A ALDOA CS MYC CCL2 GBA1 RIGI PRKN"
)


def test_key_genes_in_both_species_and_directions(human, mouse, orthologs):
    human_ids, mouse_ids = map(list, zip(*KEY.values(), strict=True))
    human_symbols = ["TP53" if symbol == "TRP53" else symbol for symbol in KEY]
    mouse_symbols = [symbol.capitalize() for symbol in KEY]
    assert genes.identify(human_symbols, human)["gene_id"].tolist() == human_ids
    assert genes.identify(mouse_symbols, mouse)["gene_id"].tolist() == mouse_ids
    assert genes.identify(human_symbols[:1], human)["gene_id"].tolist() == human_ids[:1]
    assert genes.to_human(mouse_ids, orthologs)["gene_id"].tolist() == human_ids
    assert genes.to_mouse(human_ids, orthologs)["gene_id"].tolist() == mouse_ids


def test_programme_genes_resolve_in_both_species(human, mouse, orthologs):
    symbols = MORE.split()
    in_human = genes.identify(symbols, human)
    in_mouse = genes.identify([s.capitalize() for s in symbols], mouse)
    assert set(in_human["status"]) == {"symbol"}
    assert set(in_mouse["status"]) == {"symbol"}
    across = genes.to_human(in_mouse["gene_id"], orthologs)
    assert across["gene_id"].tolist() == in_human["gene_id"].tolist()
    assert across["symbol"].tolist() == symbols


FORMER = (
    "MYL11=MYLPF MYMK=TMEM8C MYMX=MINION RIGI=DDX58 GBA1=GBA CCN2=CTGF PRKN=PARK2 ATP5F1A=ATP5A1 "
    "SELENOP=SEPP1 ADGRB1=BAI1 KIRREL1=KIRREL ACKR1=DARC ERFE=FAM132B SMAD9=SMAD8 TNFRSF12A=FN14 "
    "TNFSF12=TWEAK RRAD=RAD ETV5=ERM RTN4=NOGO SEPTIN2=SEPT2 MARCHF1=MARCH1 DELEC1=DEC1 "
    "MTARC1=MARC1 SELENOF=SEP15"
)


def test_former_human_symbols(human):
    current, former = zip(*(pair.split("=") for pair in FORMER.split()), strict=True)
    assert genes.identify(former, human)["symbol"].tolist() == list(current)
    assert set(genes.identify(former, human)["status"]) == {"previous"}
    assert genes.identify(current, human)["symbol"].tolist() == list(current)


FORMER_MOUSE = (
    "Mymk=Tmem8c Mymx=Gm7325 Rigi=Ddx58 Gba1=Gba Ccn2=Ctgf Prkn=Park2 Atp5f1a=Atp5a1 Septin2=Sept2 "
    "Marchf5=March5 Hacd2=Ptplb Mylpf=Myl11"
)


def test_former_mouse_symbols(mouse):
    current, former = zip(*(pair.split("=") for pair in FORMER_MOUSE.split()), strict=True)
    found = genes.identify(former, mouse)
    assert found["symbol"].tolist() == list(current)
    assert set(found["status"]) == {"previous"}
    alone = genes.identify(["Sept2"], mouse)
    assert alone[["symbol", "status"]].to_numpy().tolist() == [["Septin2", "previous"]]


def test_human_transgene_is_not_merged_into_the_mouse_gene(mouse):
    found = genes.identify(["Sod1", "SOD1"], mouse)
    assert found["status"].tolist() == ["symbol", "unmapped"]
    assert found["gene_id"].tolist() == ["ENSMUSG00000022982", "SOD1"]


def test_ensembl_versions_par_and_unlisted(human):
    ids = ["ENSG00000122180.5", "ENSG00000182378.15_PAR_Y", "ENSG00000182378", "ENSG00000999999.1"]
    found = genes.identify(ids, human)
    assert found.index.tolist() == ids
    assert found["gene_id"].tolist() == [
        "ENSG00000122180", "ENSG00000182378", "ENSG00000182378", "ENSG00000999999",
    ]  # fmt: skip
    assert found["symbol"].tolist() == ["MYOG", "PLCXD1", "PLCXD1", ""]
    assert found["status"].tolist() == ["ensembl"] * 3 + ["ensembl_unlisted"]
    assert genes.mapping_summary(found)["duplicates"] == 1


def test_alternate_and_par_copies_keep_themselves_but_not_the_symbol(human):
    # PLCXD1's Y copy has an id of its own since Ensembl 110.
    copies = human[(human["symbol"] == "PLCXD1") & (human["primary"] == "0")]["gene_id"]
    assert len(copies)
    assert genes.identify(copies, human)["gene_id"].tolist() == copies.tolist()
    assert genes.identify(["PLCXD1"], human)["gene_id"].tolist() == ["ENSG00000182378"]


def test_retired_ensembl_id_follows_its_symbol_unless_another_claims_the_gene(human):
    # HNF1B: GRCh37 and GRCh38.
    found = genes.identify(["ENSG00000108753"], human, symbols=["HNF1B"])
    assert found[["gene_id", "status"]].to_numpy().tolist() == [["ENSG00000275410", "symbol"]]
    pair = ["ENSG00000108753", "ENSG00000275410"]
    same = genes.identify(pair, human, symbols=["HNF1B", "HNF1B"])
    assert same["gene_id"].tolist() == ["ENSG00000275410"] * 2
    other = genes.identify(pair, human, symbols=["HNF1B", "TCF2"])
    assert other["gene_id"].tolist() == pair
    assert other["status"].tolist() == ["ensembl_unlisted", "ensembl"]
    clone = genes.identify(["ENSG00000999999"], human, symbols=["1-Sep"])
    assert clone["status"].tolist() == ["ensembl_unlisted"]


@pytest.mark.parametrize("number", [4656, "4656", "4656.0", 4656.0])
def test_entrez(number, human, mouse):
    found = genes.identify([number], human)
    assert found[["gene_id", "symbol", "status"]].to_numpy().tolist() == [
        ["ENSG00000122180", "MYOG", "entrez"]
    ]
    assert genes.identify([17928], mouse)["symbol"].tolist() == ["Myog"]


def test_entrez_rules(tiny):
    found = genes.identify(["2", "22", "7", "99"], tiny)
    assert found["gene_id"].tolist() == ["ENSG00000000002", "ENSG00000000002", "7", "99"]
    assert found["status"].tolist() == ["entrez", "entrez", "ambiguous", "unmapped"]
    assert found["candidates"].tolist()[2] == "ENSG00000000007;ENSG00000000008"


def test_symbol_rules(tiny):
    found = genes.identify(["A", "OLDB", "OLD", "TWIN", "Y_RNA", "nothing"], tiny)
    assert found["gene_id"].tolist() == [
        "ENSG00000000001", "ENSG00000000002", "OLD", "ENSG00000000005", "Y_RNA", "nothing",
    ]  # fmt: skip
    assert found["status"].tolist() == [
        "symbol", "previous", "ambiguous", "symbol", "ambiguous", "unmapped",
    ]  # fmt: skip
    assert found["candidates"].tolist()[2] == "C;D"


@pytest.mark.parametrize(
    ("source", "symbol"),
    [("2-Sep", "SEPTIN2"), ("Sep-02", "SEPTIN2"), ("Sept2", "SEPTIN2"), ("15-Sep", "SELENOF"),
     ("3-Mar", "MARCHF3"), ("Mar-05", "MARCHF5"), ("1-Dec", "DELEC1"), ("2019-09-07", "SEPTIN7"),
     ("2019-09-07 00:00:00", "SEPTIN7"), ("7-Sep-19", "SEPTIN7"), ("44258", "MARCHF3")],
)  # fmt: skip
def test_mangled_human_symbols(source, symbol, human):
    # 44258 is 2021-03-03.
    others = ["PAX7", "MYF5", "MYOD1", "MYOG", "MYMK", "MYMX", "CHRNA1", "CHRNG", "DMD"]
    found = genes.identify([source, *others], human)
    assert found.iloc[0][["symbol", "status"]].tolist() == [symbol, "mangled"]


@pytest.mark.parametrize("source", ["1-Mar", "Mar-01", "44256", "2021-03-01"])
def test_first_of_march_is_two_genes(source, human):
    found = genes.identify([source], human, id_type="symbol").iloc[0]
    assert found[["gene_id", "status", "candidates"]].tolist() == [
        source, "ambiguous", "MARCHF1;MTARC1",
    ]  # fmt: skip


def test_dates_that_are_no_gene(human):
    sources = ["30-Sep", "1-Jan", "Jun-01", "99999", "12345", "1-Foo"]
    found = genes.identify(sources, human, id_type="symbol")
    assert found["gene_id"].tolist() == sources
    assert set(found["status"]) == {"unmapped"}


def test_serials_are_entrez_ids_in_an_entrez_column(human):
    found = genes.identify(["4656", "5081", "44256"], human)
    assert found["status"].tolist() == ["entrez", "entrez", "unmapped"]


def test_mangled_mouse_symbol(mouse):
    assert genes.identify(["7-Sep"], mouse)["symbol"].tolist() == ["Septin7"]


def test_mixed_types_raise_with_examples_unless_stated(human):
    mix = ["MYOG", "PAX7", "4656", "5081"]
    with pytest.raises(InputError, match=r"mixed type.*MYOG, PAX7") as error:
        genes.identify(mix, human, where="study.yaml: counts.gene_column")
    assert "study.yaml" in str(error.value)
    found = genes.identify(mix, human, id_type="symbol")
    assert found["status"].tolist() == ["symbol", "symbol", "unmapped", "unmapped"]


def test_ensembl_ids_stand_in_for_genes_without_a_symbol(human):
    found = genes.identify(["MYOG", "PAX7", "ENSG00000129152", "ENSG00000111049"], human)
    assert found["status"].tolist() == ["symbol", "symbol", "ensembl", "ensembl"]


@pytest.mark.parametrize(
    "written",
    [
        "ENSG00000122180.5_MYOG",
        "MYOG|ENSG00000122180",
        "GRCh38_ENSG00000122180",
        '"MYOG"',
        "gene:ENSG00000122180",
        "MYOG|4656",
        "ENSG00000122180_PAR_Y",
    ],
)
def test_ids_written_together_are_taken_apart(human, written):
    assert genes.identify([written], human)["gene_id"].tolist() == ["ENSG00000122180"]


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (["Sod1", "Myog", "Pax7"], "another organism"),
        (["ENST00000270142", "ENST00000389995"], "transcripts"),
        (["spot_1", "spot_2"], "0% of 2 rows"),
    ],
)
def test_ids_that_lead_nowhere_stop_a_study(human, ids, words):
    with pytest.raises(InputError, match=words):
        genes.require_genes(genes.identify(ids, human), human, "a file")


def test_summaries_are_no_genes():
    rows = ["__no_feature", "N_unmapped", "Total", "Unassigned_Ambiguity", "MYOG", "ERCC-00002"]
    assert genes.is_summary(rows).tolist() == [True] * 4 + [False] * 2


def test_stray_rows_of_a_dominated_column_stay_unmapped(human):
    ids = ["ENSG00000122180"] * 19 + ["PAX7", "__no_feature", "ERCC-00002", ""]
    found = genes.identify(ids, human)
    assert found["status"].tolist()[19:] == ["unmapped"] * 4
    assert found["gene_id"].tolist()[19:] == ["PAX7", "__no_feature", "ERCC-00002", ""]


def test_organism(human, mouse):
    assert genes.detect_organism(["ENSMUSG00000026459.7", "x"]) == "mouse"
    assert genes.detect_organism(["MYOG"]) is None
    with pytest.raises(InputError, match="ids are of mouse, the study is declared as human"):
        genes.check_organism(["ENSMUSG00000026459"], "human")
    with pytest.raises(InputError, match="ids are of mouse"):
        genes.identify(["ENSMUSG00000026459"], human)
    # A human transgene in a mouse matrix keeps its id and is no mouse gene.
    found = genes.identify([*["ENSMUSG00000026459"] * 20, "ENSG00000142168"], mouse)
    assert found.iloc[-1][["gene_id", "status"]].tolist() == ["ENSG00000142168", "unmapped"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [({"id_type": "refseq"}, "unknown gene id type"), ({"symbols": ["A", "B"]}, "2 symbols")],
)
def test_wrong_arguments(arguments, problem, tiny):
    with pytest.raises(InputError, match=problem):
        genes.identify(["ENSG00000000001"], tiny, **arguments)


def test_no_ids(tiny):
    with pytest.raises(InputError, match="no gene ids"):
        genes.identify(["", "__ambiguous"], tiny)


def test_former_symbol_beside_the_current_one_is_another_gene_to_the_source(tiny):
    assert genes.identify(["OLDB"], tiny)["symbol"].tolist() == ["B"]
    found = genes.identify(["OLDB", "B"], tiny)
    assert found["status"].tolist() == ["ambiguous", "symbol"]
    assert found["gene_id"].tolist() == ["OLDB", "ENSG00000000002"]
    assert found["candidates"].tolist() == ["B", ""]


def test_mitochondrial_entrez_ids(human):
    # NCBI: RNR1, RNR2, TRNK, ND1.
    found = genes.identify([4549, 4550, 4566, 4535], human)
    assert found["symbol"].tolist() == ["MT-RNR1", "MT-RNR2", "MT-TK", "MT-ND1"]


POOL = ["A", "C", "OLD", "OLDB", "TWIN", "Y_RNA", "2-Sep", "x", "ENSG00000000001"]


@settings(max_examples=25, deadline=None)
@given(ids=st.lists(st.sampled_from(POOL), min_size=1, max_size=12), data=st.data())
def test_neither_order_nor_company_changes_a_row(ids, data):
    table = make_tiny()
    order = data.draw(st.permutations(range(len(ids))))
    whole = genes.identify(ids, table, id_type="symbol")
    shuffled = genes.identify([ids[i] for i in order], table, id_type="symbol")
    pd.testing.assert_frame_equal(whole.iloc[order], shuffled)
    alone = genes.identify(ids[:1], table, id_type="symbol")
    pd.testing.assert_frame_equal(whole.iloc[:1], alone)
    summary = genes.mapping_summary(whole)
    assert sum(summary[s] for s in genes.STATUSES) == summary["total"] == len(ids)


def test_resolve_symbols_for_gene_lists(human):
    found = genes.resolve_symbols(["MYOG", "MYLPF", "no such gene"], human)
    assert found == {"MYOG": "ENSG00000122180", "MYLPF": "ENSG00000180209"}


@pytest.mark.parametrize(("name", "prefix"), [("human", "ENSG"), ("mouse", "ENSMUSG")])
def test_tables_hold_what_the_functions_rely_on(name, prefix):
    table = load(f"genes_{name}.tsv.gz")
    assert table["gene_id"].is_unique
    assert table["gene_id"].str.fullmatch(prefix + r"\d{11}").all()
    assert not table.loc[table["primary"] == "1", "symbol"].duplicated().any()
    assert (table.loc[table["primary"] == "1", "symbol"] != "").all()
    former = set(table["previous"].str.split(";").explode()) - {""}
    assert not former & set(table["symbol"])
    assert table["entrez"].str.fullmatch(r"(\d+(;\d+)*)?").all()


def test_orthologs_are_one_to_one_and_listed(human, mouse, orthologs):
    assert orthologs["human_gene_id"].is_unique
    assert orthologs["mouse_gene_id"].is_unique
    assert orthologs["human_gene_id"].isin(human["gene_id"]).all()
    assert orthologs["mouse_gene_id"].isin(mouse["gene_id"]).all()
    # Several mouse or human genes each: no 1:1.
    families = {"MX1", "CXCL8", "MT1X", "SMN1", "HSPA1A", "CTSV", "CXCL2", "HLA-A"}
    assert not families & set(orthologs["human_symbol"])


def test_tables_are_small_and_without_time_stamp():
    for path in sorted(RESOURCES.glob("*.tsv.gz")):
        data = path.read_bytes()
        assert len(data) < 1_400_000
        assert data[4:8] == b"\0\0\0\0"
