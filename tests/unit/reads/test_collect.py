"""Genes from transcripts: cases computed by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from alsmuscle.reads.collect import to_genes, transcript_genes


def abundance(counts, lengths, names=("a", "b", "c")):
    counts, lengths = np.array(counts, float), np.array(lengths, float)
    rate = counts / lengths
    tpm = rate / rate.sum() * 1e6 if rate.sum() else rate
    return pd.DataFrame(
        {
            "target_id": names,
            "length": lengths + 100,
            "eff_length": lengths,
            "est_counts": counts,
            "tpm": tpm,
        }
    )


GENES = {"a": "G1", "b": "G1", "c": "G2"}


def test_a_switch_of_isoforms_is_no_change_of_the_gene():
    # Both runs hold 10 molecules of G1 and 10 of G2; in `after` G1 uses its isoform of threefold
    # length, and so gives three times the fragments.
    runs = {
        "before": abundance([10, 0, 10], [1, 3, 1]),
        "after": abundance([0, 30, 10], [1, 3, 1]),
    }
    genes = to_genes(runs, GENES)
    assert genes.counts.loc["G1"].tolist() == [10, 30]
    assert genes.length.loc["G1"].tolist() == [1, 3]
    scaled = genes.length_scaled()
    ratio = scaled.loc["G1"] / scaled.loc["G2"]
    assert ratio["before"] == pytest.approx(ratio["after"])
    # The mean length of G1 is 2 and of G2 is 1; totals stay.
    assert scaled["before"].tolist() == pytest.approx([20 * 2 / 3, 20 / 3])
    assert scaled.sum().tolist() == pytest.approx([20, 40])


def test_lengths_that_no_read_tells():
    runs = {
        "one": abundance([10, 0, 0], [100, 400, 50]),
        "two": abundance([0, 10, 0], [100, 400, 70]),
        "none": abundance([0, 0, 0], [100, 400, 60]),
    }
    genes = to_genes(runs, GENES)
    assert genes.length.loc["G1"].tolist() == pytest.approx([100, 400, 200])  # geometric mean
    assert genes.length.loc["G2"].tolist() == pytest.approx([60, 60, 60])  # mean of all
    scaled = genes.length_scaled()
    assert scaled["none"].tolist() == [0, 0]
    assert scaled.loc["G2"].tolist() == [0, 0, 0]


def test_the_order_of_runs_does_not_matter():
    one, two = abundance([5, 1, 9], [10, 30, 20]), abundance([2, 8, 4], [12, 33, 21])
    there = to_genes({"one": one, "two": two}, GENES).length_scaled()
    back = to_genes({"two": two, "one": one}, GENES).length_scaled()
    pd.testing.assert_frame_equal(there, back[["one", "two"]])


def test_what_does_not_fit_is_refused():
    one = abundance([1, 1, 1], [9, 9, 9])
    with pytest.raises(ValueError, match="different transcripts"):
        to_genes({"x": one, "y": abundance([1, 1, 1], [9, 9, 9], ("a", "c", "b"))}, GENES)
    with pytest.raises(ValueError, match=r"1 transcript\(s\).*'c'"):
        to_genes({"x": one}, {"a": "G1", "b": "G1"})
    with pytest.raises(ValueError, match="no run"):
        to_genes({}, GENES)


def test_genes_of_headers_of_gencode_and_ensembl():
    gencode = "ENST00000456328.2|ENSG00000290825.1|OTTHUMG1|-|DDX11L2-202|DDX11L2|1657|lncRNA|"
    ensembl = "ENSMUST00000177564.2 cdna chromosome:GRCm39:14:1:16:1 gene:ENSMUSG00000096176.2 x:y"
    found = transcript_genes([gencode, ensembl, "t1|GENE.1|"])
    assert found[gencode] == "ENSG00000290825"
    assert found["ENSMUST00000177564.2"] == "ENSMUSG00000096176"
    assert found["t1|GENE.1|"] == "GENE.1"  # versions are Ensembl's
    assert transcript_genes(["T|ENSG00000182378.15_PAR_Y|"]) == {
        "T|ENSG00000182378.15_PAR_Y|": "ENSG00000182378"
    }
    with pytest.raises(ValueError, match="names no gene"):
        transcript_genes(["chr1"])
