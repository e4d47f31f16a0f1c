"""Files of one's own: which are mates, and which lanes, by their names."""

from __future__ import annotations

import pytest

from alsmuscle.core.errors import InputError
from alsmuscle.reads.libraries import lanes


@pytest.mark.parametrize(
    ("paths", "runs"),
    [
        (["a.fq.gz"], [["a.fq.gz"]]),
        (["a_R1_001.fastq.gz"], [["a_R1_001.fastq.gz"]]),
        (["b/a_2.fastq.gz", "b/a_1.fastq.gz"], [["b/a_1.fastq.gz", "b/a_2.fastq.gz"]]),
        (["a.R1.fq", "a.R2.fq"], [["a.R1.fq", "a.R2.fq"]]),
        (["a_r1.FASTQ.GZ", "a_r2.FASTQ.GZ"], [["a_r1.FASTQ.GZ", "a_r2.FASTQ.GZ"]]),
        (["a_1_val_1.fq.gz", "a_2_val_2.fq.gz"], [["a_1_val_1.fq.gz", "a_2_val_2.fq.gz"]]),
        (
            ["a_R1.trimmed.fastq", "a_R2.trimmed.fastq"],
            [["a_R1.trimmed.fastq", "a_R2.trimmed.fastq"]],
        ),
        (
            ["a_L001_R1_001.fq", "a_L002_R1_001.fq"],
            [["a_L001_R1_001.fq"], ["a_L002_R1_001.fq"]],
        ),
        (
            [f"p_L00{lane}_{mark}_001.fq" for lane in (1, 2) for mark in ("I1", "R1", "R2")],
            [[f"p_L00{lane}_{mark}_001.fq" for mark in ("I1", "R1", "R2")] for lane in (1, 2)],
        ),
        # The same name in folders of two runs; a folder called R1 is no mark.
        (
            ["R1 x/s_R1.fq", "R1 x/s_R2.fq", "y/s_R1.fq", "y/s_R2.fq"],
            [["R1 x/s_R1.fq", "R1 x/s_R2.fq"], ["y/s_R1.fq", "y/s_R2.fq"]],
        ),
        (["d_R1.x/s.fq", "d_R2.x/s.fq"], [["d_R1.x/s.fq", "d_R2.x/s.fq"]]),
        (["reads b.fq", "reads a.fq"], [["reads b.fq", "reads a.fq"]]),
        (["sample_2.fq"], [["sample_2.fq"]]),
    ],
)
def test_files_are_put_into_runs(paths, runs):
    assert list(lanes(paths).values()) == runs


def test_what_names_do_not_tell_is_refused():
    with pytest.raises(InputError, match="a_R1.fastq and a_R1.fq are both read R1 of one run"):
        lanes(["a_R1.fastq", "a_R1.fq"])
    with pytest.raises(
        InputError, match="a mate is missing: of run a_L2 there is a_L2_R2.fq alone"
    ):
        lanes(["a_L1_R1.fq", "a_L1_R2.fq", "a_L2_R2.fq"])
