"""What leaves the machine: no secret, no path, nothing that steers a terminal or a spreadsheet."""

from __future__ import annotations

import io
import logging
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from alsmuscle.core import files, log, redaction
from alsmuscle.core.errors import InputError
from alsmuscle.data import admit, check_online
from alsmuscle.data.tables import CHECKS

SECRETS = [
    "https://h/x?api_key=S3CRETS3CRET",
    "https://h/x?a=1&apikey=S3CRETS3CRET&b=2",
    "https://h/x?api-key=S3CRETS3CRET",
    "https://h/x?key=S3CRETS3CRET",
    "https://h/x?token=S3CRETS3CRET",
    "https://h/x?access_token=S3CRETS3CRET",
    "https://h/x?auth_token=S3CRETS3CRET",
    "https://h/x?password=S3CRETS3CRET",
    "https://h/x?PASSWD=S3CRETS3CRET",
    "https://h/x?client_secret=S3CRETS3CRET",
    "https://h/x?sessionid=S3CRETS3CRET",
    "https://h/x?sig=S3CRETS3CRET",
    "https://h/x?Signature=S3CRETS3CRET&Expires=1",
    "https://h/x?AWSAccessKeyId=S3CRETS3CRET",
    "https://h/x?X-Amz-Credential=S3CRETS3CRET&X-Amz-Signature=S3CRETS3CRET",
    "https://h/x?x-goog-signature=S3CRETS3CRET",
    "https://user:S3CRETS3CRET@h/x",
    "ftp://S3CRETS3CRET@h/x",
    "Authorization: Bearer S3CRETS3CRET",
    "proxy-authorization: Basic S3CRETS3CRET",
    "Cookie: S3CRETS3CRET",
    "X-API-Key: S3CRETS3CRET",
    "the value S3CRETS3CRET of a variable",
]


@pytest.mark.parametrize("text", SECRETS)
def test_no_secret_is_written(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if "variable" in text:
        monkeypatch.setenv("LAB_ACCESS_TOKEN", "S3CRETS3CRET")
    assert "S3CRET" not in redaction.shown(text)
    row = admit.failure("gse1", "files.x", InputError(text, where=text, remedy=text))
    assert not any("S3CRET" in cell for cell in row.values())
    log.to_file(tmp_path / "x.log")
    log.get("fetch").warning("%s", text)
    log.to_file(None)
    logging.getLogger("alsmuscle").handlers.clear()
    assert "S3CRET" not in (tmp_path / "x.log").read_text()


def test_what_is_no_secret_stays() -> None:
    for text in (
        "https://www.ncbi.nlm.nih.gov/geo/query/acc.cgi?acc=GSE1&targ=gsm&form=text",
        "10.1038/s41586-020-2157-4",
        "and/or, km/h, 3/4 of the samples",
        "config/datasets/gse1.yaml: samples.columns",
        "HLA-A/HLA-B",
        "log2(x + 1) = 3",
    ):
        assert redaction.shown(text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/home/somebody/project/x.tsv: wrong", "…/x.tsv: wrong"),
        ("at '/mnt/lab/Somebody/a b.tsv'", None),
        ('File "/usr/lib/python3/x.py", line 3', 'File "…/x.py", line 3'),
        ("(/root/.ssh/id_rsa)", "(…/id_rsa)"),
        ("mirror=/data/somebody/mirror/", None),
        ("file:///home/somebody/x.tsv: wrong", "…/x.tsv: wrong"),
        ("file://localhost/home/somebody/x.tsv", "…/x.tsv"),
        ("PYTHONPATH:/home/somebody/lib:/usr/lib/x", None),
    ],
)
def test_no_path_of_the_machine_is_written(text: str, left: str | None) -> None:
    said = redaction.shown(text)
    assert left in (None, said)
    for word in ("somebody", "Somebody", "/root", "/usr", "/home", "/mnt/lab"):
        assert word not in said


def test_a_home_with_a_blank_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/Some Body")
    assert redaction.shown("/home/Some Body/data/x.tsv: wrong") == "…/x.tsv: wrong"


def test_paths_in_the_project_are_told_from_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert redaction.shown(f"{tmp_path}/results/logs/x.log: wrong") == "results/logs/x.log: wrong"


STEERING = [
    "a\x1b[31mb",
    "a\x1b]0;title\x07b",
    "a\x1b[2J\x1b[Hb",
    "a\x9b31mb",
    "a\rb",
    "a\x08b",
    "a\x00b",
    "a\u202eb",
    "a\u2066b",
    "a\u200fb",
    "\ufeffab",
    "a\ud800b",
]


@pytest.mark.parametrize("text", STEERING)
def test_nothing_steers_a_terminal(text: str, tmp_path: Path) -> None:
    said = redaction.printable(text)
    assert said.replace("31m", "") == "ab"
    terminal = io.StringIO()
    redaction.Shown(terminal).write(text)
    assert terminal.getvalue() == said
    assert said in str(InputError(text)) and text not in str(InputError(text))
    frame = pd.DataFrame([admit.check("gse1", "reading", admit.FAILED, found=text)])
    frame["found"] = text
    files.write_table(tmp_path / "checks.tsv", frame, CHECKS)
    written = (tmp_path / "checks.tsv").read_text()
    assert text not in written and said in written


FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "=HYPERLINK(1)", " =1", '=cmd|" /C calc"!A0', "-x"]


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("suffix", [".tsv", ".csv"])
def test_mailed_tables_hold_no_formula(text: str, suffix: str, tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"gene": ["MYH7", text, "TTN"], "x": [-1.5, 2e-5, -3], text: ["a", "b", text]}
    )
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    separator = "\t" if suffix == ".tsv" else ","
    table.to_csv(source, sep=separator, index=False)
    files.publish(source, target)
    read = pd.read_csv(target, sep=separator)
    assert list(read.columns) == ["gene", "x", f"'{text}"]
    assert list(read["gene"]) == ["MYH7", f"'{text}", "TTN"]
    assert list(read["x"]) == [-1.5, 2e-5, -3]
    assert redaction.cell(text) == f"'{text}"


def test_tables_without_formulas_are_linked(tmp_path: Path) -> None:
    source, target = tmp_path / "a.tsv", tmp_path / "b.tsv"
    source.write_text("gene\tx\ty-z\nHLA-A\t-1.5\t-2e-05\nx=y\t+3\ta@b\n")
    files.publish(source, target)
    assert target.samefile(source)


def test_the_bundle_of_a_check_holds_nothing_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAB_PASSWORD", "S3CRETS3CRET")
    look = check_online.Look("gse1", "GSE1", "verified")
    look.samples.append({"sample": "=1+1", "field": "title", "value": "\x1b[31m@SUM(A1)"})
    look.refused.append("/home/somebody/x.tsv S3CRETS3CRET")
    asked = [{"url": "https://h/?key=S3CRETS3CRET", "answer": "", "problem": "", "seconds": 1.0}]
    content = check_online.pack([look], asked, {"python": "3"})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        text = "\n".join(archive.read(name).decode() for name in archive.namelist())
    for word in ("S3CRET", "somebody", "\x1b", "\t=1+1", "\t@SUM"):
        assert word not in text
