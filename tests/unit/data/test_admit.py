"""Which studies take part, and what is said of those that do not."""

from __future__ import annotations

import pytest

from alsmuscle.core import contracts, files
from alsmuscle.core.errors import InputError
from alsmuscle.data import admit
from alsmuscle.data.tables import ADMISSION, CHECKS


def _checks(*rows):
    return contracts.rows(rows, CHECKS)


GOOD = admit.check("gse1", "files.counts", "agrees", "ab", "ab")
UNSEEN = admit.check("gse1", "archive", "not verified", "GSE1", "archive not reached")
DIFFERS = admit.check("gse2", "archive.samples", "differs", 32, 31)
ERROR = InputError("no column 'x'", where="sheet.csv", expected="a, b", remedy="mend it")


def test_what_was_not_looked_at_keeps_nobody_out():
    table = admit.admit(_checks(GOOD, UNSEEN), ["gse1", "simulated"])
    assert table["admitted"].tolist() == [True, True]


def test_a_difference_quotes_both_sides():
    table = admit.admit(_checks(GOOD, DIFFERS), ["gse1", "gse2"]).set_index("dataset")
    assert table["admitted"].to_dict() == {"gse1": True, "gse2": False}
    assert "archive.samples: the card says “32”, the archive “31”" in table.loc["gse2", "reason"]


def test_an_error_keeps_where_expected_and_remedy():
    row = admit.failure("gse3", "reading", ERROR)
    reason = admit.admit(_checks(row), ["gse3"])["reason"].iloc[0]
    for words in ("sheet.csv: no column 'x'", "expected: a, b", "to do: mend it"):
        assert words in reason


def test_texts_stay_on_one_line_and_survive_the_file(tmp_path):
    row = admit.check("gse3", "reading", "failed", "a\tb", 'said "no"\nand\r\nleft')
    path = tmp_path / "admission.tsv"
    table = admit.admit(_checks(GOOD, row), ["gse1", "gse3"])
    files.write_table(path, table, ADMISSION)
    assert len(path.read_text().splitlines()) == 3
    assert admit.admitted(path) == ["gse1"]
    assert admit.left_out(path) == [("gse3", table["reason"].iloc[1])]
    assert files.read_table(path, ADMISSION)["reason"].iloc[1] == table["reason"].iloc[1]


@pytest.mark.parametrize(
    ("states", "lost"),
    [
        ([], False),
        (["agrees"], False),
        (["agrees", "differs"], False),
        (["agrees", "failed"], True),
        (["unreachable"], True),
    ],
)
def test_a_study_is_out_of_reach_where_a_file_is(tmp_path, states, lost):
    rows = [{"dataset": "gse1", "check": f"files.{s}", "state": s, "found": "it's"} for s in states]
    path = tmp_path / "checks.tsv"
    files.write_table(path, contracts.rows(rows, CHECKS).fillna(""), CHECKS)
    assert admit.out_of_reach(row["state"] for row in admit.rows(path)) == lost


def test_without_a_table_nothing_is_left_out(tmp_path):
    assert admit.left_out(tmp_path / "none.tsv") == []


def test_the_run_goes_on_with_what_is_left_unless_all_are_required():
    some = admit.admit(_checks(GOOD, DIFFERS), ["gse1", "gse2"])
    admit.require(some, all_required=False)
    with pytest.raises(InputError, match="1 of 2 studies") as caught:
        admit.require(some, all_required=True)
    assert "gse2: archive.samples" in str(caught.value)
    none = admit.admit(_checks(DIFFERS), ["gse2"])
    with pytest.raises(InputError, match="no study could be obtained"):
        admit.require(none, all_required=False)


def test_a_passing_failure_leaves_a_mark_that_only_another_one_changes(tmp_path):
    mark = tmp_path / "gse1" / "unreachable"
    lost = admit.failure("gse1", "files.a", ERROR, admit.UNREACHABLE)
    admit.remember_failure(mark, [GOOD, admit.failure("gse1", "files.b", ERROR)])
    assert not mark.exists()
    admit.remember_failure(mark, [GOOD, lost])
    first = mark.read_text()
    admit.remember_failure(mark, [GOOD])
    assert mark.read_text() == first
    admit.remember_failure(mark, [lost])
    assert mark.read_text() != first
