"""Which pieces are made anew, what they replace, and what is left out."""

from __future__ import annotations

import sys

import pandas as pd
import pytest

from support import load_benchmark

run = load_benchmark("run")
PART = run.Part("meta", "contrasts", ("5", "50"))


def stamps(**changed: str) -> pd.DataFrame:
    return pd.DataFrame(
        [{"part": "meta", "piece": "5", "code": "abc", "machine": "here", **changed}]
    )


def test_what_the_present_code_has_made_here_is_done() -> None:
    assert run.is_done(PART, "5", stamps(), "abc", "here")
    assert not run.is_done(PART, "50", stamps(), "abc", "here")
    assert not run.is_done(PART, "5", stamps(code="older"), "abc", "here")
    assert not run.is_done(PART, "5", stamps(code=""), "abc", "here")


def test_seconds_of_another_machine_are_measured_again_and_calls_are_not() -> None:
    assert not run.is_done(PART, "5", stamps(machine="there"), "abc", "here")
    assert run.is_done(PART._replace(timed=False), "5", stamps(machine="there"), "abc", "here")


def test_rows_of_a_piece_replace_their_former_ones_and_no_others() -> None:
    old = "task\tcontrasts\tcpu_s\npool\t5\t0.10\npool\t50\t1\n"
    new = "task\tcontrasts\tcpu_s\tratio\npool\t50\t2\t3\n"
    expected = "task\tcontrasts\tcpu_s\tratio\npool\t5\t0.10\t\npool\t50\t2\t3\n"
    assert run.merged(old, new, PART, "50") == expected
    assert run.merged("", new, PART, "50") == new
    assert run.merged(old, new, PART._replace(key=""), "50") == new


def test_rows_stand_in_the_order_of_the_pieces() -> None:
    old, new = "contrasts\tcpu_s\n500\t3\n50\t2\n", "contrasts\tcpu_s\n5\t1\n"
    assert run.merged(old, new, PART, "5") == "contrasts\tcpu_s\n5\t1\n50\t2\n500\t3\n"


@pytest.mark.parametrize("rows", ["", "pool\t5\t2\n"], ids=["nothing", "another piece"])
def test_a_script_that_prints_other_rows_changes_nothing(rows: str) -> None:
    text = "task\tcontrasts\tcpu_s\npool\t50\t1\n"
    with pytest.raises(RuntimeError, match="piece 50 has rows of"):
        run.merged(text, "task\tcontrasts\tcpu_s\n" + rows, PART, "50")


def test_a_stamp_replaces_its_former_one_in_the_order_of_the_parts_and_none_is_lost() -> None:
    known = pd.concat([stamps(part="gone"), stamps(piece="50"), stamps(code="older")])
    found = run.stamped(known, stamps().iloc[0].to_dict())
    assert list(found["part"]) == ["meta", "meta", "gone"]
    assert list(found["piece"]) == ["5", "50", "5"]
    assert found["code"].iloc[0] == "abc"


def test_parts_and_pieces_are_asked_for_by_name() -> None:
    assert [piece for _, piece in run.wanted(["meta"])] == ["5", "50", "500"]
    assert [(part.name, piece) for part, piece in run.wanted(["meta:50"])] == [("meta", "50")]
    with pytest.raises(SystemExit, match=r"no part metta; there are: .*meta"):
        list(run.wanted(["metta"]))


def test_what_takes_hours_is_made_only_when_named() -> None:
    assert ("cells", "1000000") not in {(part.name, piece) for part, piece in run.wanted([])}
    assert "1000000" not in {piece for _, piece in run.wanted(["cells"])}
    assert [piece for _, piece in run.wanted(["cells:1000000"])] == ["1000000"]


def test_what_is_missing_is_named_with_the_way_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALSMUSCLE_MIRROR", raising=False)
    monkeypatch.setenv("PATH", "")
    found = run.missing(("R", "mirror"))
    assert found == ["R: tests/drills/install_r.sh", "a data mirror: ALSMUSCLE_MIRROR"]
    assert not run.missing(())


def test_the_code_of_a_part_is_digested_with_what_it_reaches() -> None:
    code = run.digest(PART)
    assert len(code) == 12 and code == run.digest(PART)
    assert code != run.digest(PART._replace(code=("benchmarks/path.R",)))


def test_every_part_has_a_script_its_files_and_its_columns() -> None:
    for part in run.PARTS:
        assert part.script.is_file(), part.name
        for pattern in part.code:
            assert list(run.ROOT.glob(pattern)), pattern
        if part.key and part.table.exists():
            rows = pd.read_csv(part.table, sep="\t", comment="#", dtype=str)
            known = {
                piece for other in run.PARTS if other.name == part.name for piece in other.pieces
            }
            assert set(rows[part.key]) <= known, part.name


def test_a_command_is_measured_with_its_children_and_a_failure_is_told(tmp_path) -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass\nprint('x')"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}], check=True)"
    text, took = run.command([sys.executable, "-c", child], tmp_path)
    assert text == "x\n"
    assert took["cpu_s"] >= 0.3 and took["wall_s"] >= 0.3 and took["peak_mb"] > 1
    with pytest.raises(RuntimeError, match="failed"):
        run.command([sys.executable, "-c", "raise SystemExit(3)"], tmp_path)
