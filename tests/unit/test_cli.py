"""The command line, end to end, against a stand-in on loopback
that replays an archive's answers.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import small_studies
from alsmuscle import cli
from alsmuscle.archives import biostudies, ena
from alsmuscle.data import cards as registry
from alsmuscle.data import check_online
from alsmuscle.data.discover import WITH_COUNTS
from alsmuscle.download import transport
from alsmuscle.download.policy import FetchPolicy
from standin import Archive, StandIn, record, series, serving
from support import ROOT

KEY = "secret0123456789"


@pytest.fixture
def archive() -> Archive:
    return Archive()


@pytest.fixture
def server(archive: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StandIn]:
    """A stand-in that all requests reach, in an empty project."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "NCBI_API_KEY", "ALSMUSCLE_MIRROR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    hasty = FetchPolicy(attempts=3, wait_initial=0.01, wait_max=0.02, retry_after_max=2)
    monkeypatch.setattr(cli, "_archives", lambda: check_online.Archives(policy=hasty))
    monkeypatch.setattr(transport, "_pace", lambda *_: None)  # tested in test_fetch
    (tmp_path / "config" / "datasets").mkdir(parents=True)
    known = ROOT / "config" / "datasets" / "gse250455.yaml"
    (tmp_path / "config" / "datasets" / known.name).write_text(known.read_text())
    monkeypatch.chdir(tmp_path)
    with serving(archive) as server:
        monkeypatch.setattr(transport, "http_client", server.client())
        yield server


def searches(**terms: str) -> None:
    Path("config/discovery.yaml").write_text(
        yaml.safe_dump({"limit": 500, "searches": terms, "papers": {"30050118": "a paper"}})
    )


def table(path: str | Path = "results/discovered.tsv") -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


# --- discover -------------------------------------------------------------------------------------


def test_discover_pages_through_and_lists_each_series_once(
    server: StandIn, archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    archive.add(*(record(number) for number in range(1, 431)), record(250455, taxon="Mus musculus"))
    uids = list(archive.records)
    archive.hits = {"one": uids, "two": uids[:3], f"(one) AND {WITH_COUNTS}": uids[:2]}
    archive.hits[f"(two) AND {WITH_COUNTS}"] = uids[:2]
    archive.links = [uids[0], "100024676"]
    searches(a="one", b="two")
    assert cli.main(["discover"]) == 0
    rows = {row["accession"]: row for row in table()}
    assert len(rows) == 431
    assert rows["GSE1"]["found_by"] == "a;b;paper"
    assert [rows[name]["ncbi_counts"] for name in ("GSE1", "GSE2", "GSE3")] == ["yes", "yes", "no"]
    assert [name for name, row in rows.items() if row["in_registry"] == "True"] == ["GSE250455"]
    starts = [url for url, _ in server.asked if "term=one&" in url]
    assert [part for url in starts for part in url.split("&") if part.startswith("retstart")] == [
        "retstart=0",
        "retstart=200",
        "retstart=400",
    ]
    out = capsys.readouterr().out
    assert "431 series, 1 of them in the registry" in out
    assert "Mus musculus" in out
    assert cli.main(["discover", "--new", "--out", "new.tsv"]) == 0
    assert len(table("new.tsv")) == 430


def test_discover_takes_a_search_of_ones_own(server: StandIn, archive: Archive) -> None:
    archive.add(record(7))
    archive.hits = {"mine": ["200000007"]}
    searches(a="one")
    assert cli.main(["discover", "--term", "mine", "--out", "own.tsv"]) == 0
    assert [row["found_by"] for row in table("own.tsv")] == ["own"]
    assert not any("elink" in url for url, _ in server.asked)


def test_discover_drafts_all_that_is_new_and_no_run_uses_them(
    server: StandIn, archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = ["ALS"] * 3 + ["healthy"] * 3
    series(archive, 12, groups, "GSE12_raw_counts.csv.gz", title="Muscle in ALS")
    series(
        archive, 13, groups, "GSE13_raw_counts.csv.gz", title="Muscle in ALS", taxon="Gallus gallus"
    )
    archive.add(record(250455))
    archive.hits = {"mine": list(archive.records)}
    searches(a="mine")
    assert cli.main(["discover", "--draft", "--to", "own"]) == 0
    out = capsys.readouterr().out
    assert "GSE12: own/gse12.yaml" in out
    assert "GSE13: no draft: the samples are of Gallus gallus" in out
    assert "1 drafts in own, which no run uses" in out
    assert [path.name for path in Path("own").iterdir()] == ["gse12.yaml"]
    found = registry.load_cards("config/datasets", "own")
    assert registry.standing(found["gse12"]) == "draft"
    everything = {name: [] for name in ("ids", "roles", "organisms", "modalities", "statuses")}
    everything["raw_reads"] = False
    assert "gse12" not in registry.select(found, everything)
    assert cli.main(["discover", "--draft", "--to", "own"]) == 0
    assert "GSE12: no draft: a card is there already" in capsys.readouterr().out
    assert cli.main(["discover", "--to", "own"]) == 1


def test_discover_waits_and_tries_again(server: StandIn, archive: Archive) -> None:
    archive.add(record(1))
    archive.hits = {"one": ["200000001"]}
    busy = (429, {"Retry-After": "0"}, '{"error": "API rate limit exceeded"}')
    server.faults = [
        ("term=one&", iter([busy, (500, {}, "oops")])),
        ("esummary", iter([(503, {}, "")])),
    ]
    searches(a="one")
    assert cli.main(["discover"]) == 0
    assert [row["accession"] for row in table()] == ["GSE1"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ((500, {}, "oops"), "HTTP 500"),
        ((200, {}, '{"esearchresult": {"count": "12", "idl'), "not JSON"),
        ((200, {}, "<html>maintenance</html>"), "not JSON"),
        ((200, {}, '{"esearchresult": {"ERROR": "Search Backend failed"}}'), "Backend failed"),
        ((404, {}, "gone"), "HTTP 404"),
    ],
)
def test_a_search_that_fails_is_named_and_the_others_are_listed(
    server: StandIn,
    archive: Archive,
    capsys: pytest.CaptureFixture[str],
    fault: tuple[int, dict[str, str], str],
    words: str,
) -> None:
    archive.add(record(1))
    archive.hits = {"good": ["200000001"]}
    server.faults = [("term=bad", itertools.repeat(fault))]
    searches(x="bad", y="good")
    assert cli.main(["discover"]) == cli.UNREACHED
    assert [row["accession"] for row in table()] == ["GSE1"]
    out = capsys.readouterr().out
    assert "incomplete: x:" in out
    assert words in out


def test_nothing_found_is_an_empty_table(server: StandIn) -> None:
    searches(a="one")
    assert cli.main(["discover"]) == 0
    assert table() == []
    assert Path("results/discovered.tsv").read_text().startswith("accession\ttitle\t")


def test_no_archive_at_all_is_one_clear_message(
    server: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    server.faults = [("", itertools.repeat((503, {}, "")))]
    searches(a="one")
    assert cli.main(["discover"]) == 1
    assert "no search was answered" in capsys.readouterr().err
    assert not Path("results/discovered.tsv").exists()


def test_the_searches_are_checked(server: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    Path("config/discovery.yaml").write_text("limit: 5\nsearches: {}\npapers: {}\nkey: 1\n")
    assert cli.main(["discover"]) == 1
    assert "config/discovery.yaml" in capsys.readouterr().err
    registry.validate(registry.load_yaml(ROOT / "config" / "discovery.yaml"), "discovery", "x")


def test_the_key_travels_in_the_form_and_is_written_nowhere(
    server: StandIn,
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("NCBI_API_KEY", KEY)
    archive.hits = {"one": [series(archive, 1, ["a", "a", "b", "b"], "GSE1_counts.csv.gz")[3:]]}
    archive.hits = {"one": list(archive.records)}
    server.faults = [("term=bad", itertools.repeat((500, {}, f"bad api_key={KEY}")))]
    searches(a="one", b="bad")
    cli.main(["discover"])
    cli.main(["draft", "GSE1"])
    cli.main(["check", "gse1", "--online", "--bundle", "b.zip"])
    asked = [(url, form) for url, form in server.asked if "eutils" in url]
    assert all(f"api_key={KEY}" in form and KEY not in url for url, form in asked)
    assert all(KEY not in form for url, form in server.asked if "eutils" not in url)
    said = capsys.readouterr()
    with zipfile.ZipFile("b.zip") as bundle:
        packed = "".join(bundle.read(name).decode() for name in bundle.namelist())
    files = "".join(path.read_text() for path in Path().rglob("*.*") if path.suffix != ".zip")
    assert KEY not in said.out + said.err + packed + files


# --- draft ----------------------------------------------------------------------------------------


def test_a_draft_is_written_once_and_never_runs(
    server: StandIn, archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = ["ALS"] * 3 + ["healthy"] * 3
    series(archive, 12, groups, "GSE12_raw_counts.csv.gz", title="Muscle in ALS")
    assert cli.main(["draft", "gse12"]) == 0
    out = capsys.readouterr().out
    assert "config/datasets/gse12.yaml: a draft" in out
    assert "'disease:ch1'" in out
    cards = registry.load_cards("config/datasets")
    assert registry.standing(cards["gse12"]) == "draft"
    everything = {name: [] for name in ("ids", "roles", "organisms", "modalities", "statuses")}
    everything["raw_reads"] = False
    assert "gse12" not in registry.select(cards, everything)
    with pytest.raises(registry.InputError, match="switched off.*nobody has read it"):
        registry.select(cards, {**everything, "ids": ["gse12"]})
    before = Path("config/datasets/gse12.yaml").read_text()
    assert cli.main(["draft", "GSE12"]) == 1
    assert "there already" in capsys.readouterr().err
    assert Path("config/datasets/gse12.yaml").read_text() == before
    assert cli.main(["draft", "GSE12", "--to", "elsewhere"]) == 0
    assert Path("elsewhere/gse12.yaml").read_text() == before


@pytest.mark.parametrize(
    ("accession", "words"),
    [("GSE404", "no such public series"), ("GSM1", "not a series"), ("E-MTAB-1", "no accession")],
)
def test_a_series_that_does_not_exist(
    server: StandIn, capsys: pytest.CaptureFixture[str], accession: str, words: str
) -> None:
    assert cli.main(["draft", accession]) == 1
    assert words in capsys.readouterr().err
    assert [path.stem for path in Path("config/datasets").iterdir()] == ["gse250455"]


def test_a_draft_from_a_broken_answer_leaves_nothing(
    server: StandIn, archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    series(archive, 13, ["a", "a", "b", "b"], "GSE13_counts.csv.gz")
    server.faults = [("targ=gsm", itertools.repeat((200, {}, "^SAMPLE = GSM1\n!Sample_title = a")))]
    assert cli.main(["draft", "GSE13"]) == 1
    assert "truncated series is never used" in capsys.readouterr().err
    assert not Path("config/datasets/gse13.yaml").exists()


# --- check ----------------------------------------------------------------------------------------


def test_check_names_what_is_known_and_what_is_missing(
    server: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    source = ROOT / "config" / "datasets" / "gse122261.yaml"
    Path("config/datasets/gse122261.yaml").write_text(source.read_text())
    assert cli.main(["check", "GSE122261"]) == 0
    out = capsys.readouterr().out
    assert "candidate; facts: 4 seen on a page, 4 not verified; missing: files, groups" in out
    assert "missing: donors: Which arrays are of the same person" in out
    assert cli.main(["check", "--all"]) == 0
    assert "2 of 2 cards pass" in capsys.readouterr().out
    broken = yaml.safe_load(source.read_text()) | {"role": "als"}
    Path("config/datasets/gse122261.yaml").write_text(yaml.safe_dump(broken))
    assert cli.main(["check", "--all"]) == 1
    out = capsys.readouterr().out
    assert "gse122261: wrong" in out
    assert "als_patient" in out
    assert "1 of 2 cards pass" in out
    assert server.asked == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check"], "ids of studies, or `--all`"),
        (["check", "gse250455", "--all"], "ids of studies, or `--all`"),
        (["check", "gse1"], "no card 'gse1'"),
        (["check", "--all", "--bundle", "b.zip"], "--online"),
        (["check", "--all", "--registry", "nowhere"], "no study card"),
    ],
)
def test_wrong_arguments(
    server: StandIn, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert cli.main(arguments) == 1
    assert words in capsys.readouterr().err


def test_a_card_that_differs_quotes_both_sides(
    server: StandIn, archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    series(archive, 12, ["ALS"] * 3 + ["healthy"] * 3, "GSE12_raw_counts.csv.gz")
    cli.main(["draft", "GSE12"])
    assert cli.main(["check", "gse12", "--online"]) == 0
    assert "gse12: agrees" in capsys.readouterr().out
    path = Path("config/datasets/gse12.yaml")
    card = yaml.safe_load(path.read_text())
    card["organism"] = "mouse"
    path.write_text(yaml.safe_dump(card))
    assert cli.main(["check", "gse12", "--online"]) == 1
    out = capsys.readouterr().out
    assert "gse12: differs (organism)" in out
    assert "organism: card “mouse”, archive “Homo sapiens”" in out


def test_the_bundle_says_what_answered_and_what_differed(
    server: StandIn, archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    series(archive, 12, ["ALS"] * 3 + ["healthy"] * 3, "GSE12_raw_counts.csv.gz")
    cli.main(["draft", "GSE12"])
    (tmp_path / "config" / "datasets" / "gse99.yaml").write_text("id: gse99\n")
    assert cli.main(["check", "--all", "--online", "--bundle", "results/b.zip"]) == 0
    with zipfile.ZipFile("results/b.zip") as bundle:
        content = {Path(name).name: bundle.read(name).decode() for name in bundle.namelist()}
    cards = {
        row["id"]: row for row in csv.DictReader(io.StringIO(content["cards.tsv"]), delimiter="\t")
    }
    assert cards["gse12"]["result"] == "agrees"
    assert cards["gse250455"]["result"] == "no such record"
    assert cards["gse99"]["result"] == "broken card"
    assert "GSE12_raw_counts.csv.gz" in content["files.tsv"]
    assert "disease:ch1\tALS" in content["samples.tsv"]
    assert "esummary" in content["requests.tsv"]
    assert "python" in json.loads(content["versions.json"])
    everything = "".join(content.values())
    assert str(tmp_path) not in everything
    assert str(Path.home()) not in everything


def test_other_archives_and_plain_addresses_are_asked_too(
    server: StandIn, archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    common = {"organism": "mouse", "modality": "cells", "role": "denervation", "platform": "x"}
    common |= {"use": False, "status": "candidate", "citation": {"text": "nobody"}}
    common |= {"title": "made for the tests", "facts": {"accession": "no"}}
    common |= {"missing": {"counts": "nobody has seen any"}}
    files = {
        "runs": {"source": "ena_report"},
        "first": {"url": "https://example.org/a.h5ad", "bytes": 5},
        "other": {"url": "https://example.org/b.h5ad", "bytes": 7},
        "page": {"url": "https://example.org/c.h5ad"},
        "gone": {"url": "https://example.org/d.h5ad"},
    }
    cards = {
        "srp1": {"accession": "SRP1", "files": files, "archive": {"ids": ["SRR1-SRR2"]}},
        "emtab1": {
            "accession": "E-MTAB-1",
            "files": {"sheet": {"source": "biostudies", "match": r".*\.sdrf\.txt"}},
        },
        "doi1": {"accession": "doi:1"},
    }
    for name, card in cards.items():
        Path(f"config/datasets/{name}.yaml").write_text(
            yaml.safe_dump({"id": name, **common, **card})
        )
    report = "run_accession\tscientific_name\tsample_title\nSRR1\tMus musculus\tDN-1\n"
    archive.pages[ena.ena_file_report("SRP1")] = report + "SRR2\tMus musculus\tCTL-1\n"
    study = {"section": {"files": [{"path": "E-MTAB-1.sdrf.txt", "size": 9}]}}
    archive.pages[biostudies.biostudies_study("E-MTAB-1")] = json.dumps(study)
    archive.pages |= {f"https://example.org/{name}.h5ad": "12345" for name in "ab"}
    server.faults = [("c.h5ad", iter([(200, {"Content-Type": "text/html"}, "<html>")]))]
    arguments = ["check", "srp1", "E-MTAB-1", "doi1", "--online", "--bundle", "b.zip"]
    assert cli.main(arguments) == 0
    out = capsys.readouterr().out
    assert "srp1: differs (files.gone, files.other, files.page)" in out
    assert "7 bytes”, archive “there, 5 bytes”" in out
    assert "a page was served" in out
    assert "HTTP 404" in out
    assert "emtab1: agrees" in out
    assert "doi1: not checked" in out
    with zipfile.ZipFile("b.zip") as bundle:
        assert "SRR1\tsample_title\tDN-1" in bundle.read("alsmuscle-check/samples.tsv").decode()
        assert "E-MTAB-1.sdrf.txt" in bundle.read("alsmuscle-check/files.tsv").decode()


def test_without_any_archive_the_check_ends_and_says_so_per_card(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    shut = FetchPolicy(attempts=1, connect_timeout=0.2)
    monkeypatch.setattr(cli, "_archives", lambda: check_online.Archives(policy=shut))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert cli.main(["check", "--all", "--online"]) == cli.UNREACHED
    lines = capsys.readouterr().out.splitlines()
    cards = registry.load_cards("config/datasets")
    assert len([line for line in lines if ": not reached" in line or ": not checked" in line]) == (
        len(cards)
    )


# --- the command itself ---------------------------------------------------------------------------


def test_help_answers_without_loading_what_it_does_not_need() -> None:
    program = (
        "import sys; from alsmuscle.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'pandas', 'numpy', 'httpx', 'yaml', 'jsonschema'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert run.returncode == 0, run.stderr
    assert "discover" in run.stdout


def test_the_program_is_installed_and_is_the_module() -> None:
    from importlib.metadata import entry_points, version

    (entry,) = entry_points(group="console_scripts", name="alsmuscle")
    assert entry.load() is cli.main
    run = subprocess.run(
        [sys.executable, "-m", "alsmuscle", "--version"], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == version("alsmuscle")


def test_every_command_has_examples_and_the_exit_codes_are_told() -> None:
    made = cli.parser()
    (commands,) = (a for a in made._actions if hasattr(a, "choices") and a.choices)
    for name, command in dict(commands.choices).items():
        assert f"alsmuscle {name}" in command.epilog, name
    for code in cli.EXIT_CODES:
        assert f"  {code}" in made.format_help()


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_completion_script_knows_the_commands(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["completion", shell]) == cli.DONE
    script = capsys.readouterr().out
    assert "explain" in script and "--registry" in script


def test_the_registry_is_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["studies", "--json"]) == cli.DONE
    listed = {row["id"]: row for row in json.loads(capsys.readouterr().out)}
    assert listed["gse250455"]["role"] == "intervention"
    assert cli.main(["check", "gse250455", "--json"]) == cli.DONE
    assert json.loads(capsys.readouterr().out)[0]["passes"]


def test_check_read_says_what_a_run_would_make_of_a_study(tmp_path, monkeypatch, capsys):
    case = {"counts": small_studies.table() + "__no_feature\t" + "\t".join("9" * 8) + "\n"}
    small_studies.write(tmp_path, small_studies.bulk(), {**case, "sheet": small_studies.SHEET})
    monkeypatch.chdir(tmp_path)
    assert cli.main(["check", "gse1.yaml", "--read"]) == 0
    said = capsys.readouterr().out
    for words in (
        "gse1: 8 samples, 60 genes",
        "condition: healthy 4, als 4",
        "rows: 60: 60 by Ensembl id",
        "left out: __no_feature",
        "1 of 1 studies would take part",
    ):
        assert words in said
    (tmp_path / "counts.txt").write_text(small_studies.table(small_studies.PROBES))
    assert cli.main(["check", "gse1.yaml", "--read"]) == 1
    said = capsys.readouterr().out
    assert said.count("0% of 60 rows lead to a gene") == 1 and "to do: correct `organism`" in said


def test_a_configuration_of_ones_own_gives_registry_folders_and_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a run reads it: paths are relative to the file, local files lie in `data.folders`."""
    private, here = tmp_path / "private", tmp_path / "here"
    for folder in (private / "studies", tmp_path / "lab", here):
        folder.mkdir(parents=True)
    small_studies.write(
        tmp_path / "lab",
        small_studies.bulk(),
        {"counts": small_studies.table(), "sheet": small_studies.SHEET},
    )
    card = yaml.safe_load((tmp_path / "lab" / "gse1.yaml").read_text())
    for file in card["files"].values():
        file["url"] = f"../../lab/{file['url']}"
    (private / "studies" / "gse1.yaml").write_text(yaml.safe_dump(card))
    config = private / "config.yaml"
    config.write_text("registry: [studies]\nresults: elsewhere\n")
    monkeypatch.chdir(here)
    assert cli.main(["studies", "--json", "--config", str(config)]) == cli.DONE
    assert [row["id"] for row in json.loads(capsys.readouterr().out)] == ["gse1"]
    read = ["check", "gse1", "--read", "--config", str(config)]
    assert cli.main(read) == cli.WRONG
    assert "`data.folders`" in capsys.readouterr().out
    config.write_text(config.read_text() + "data:\n  folders: [../lab]\n")
    assert cli.main(read) == cli.DONE
    assert "1 of 1 studies would take part" in capsys.readouterr().out
    assert cli.main(["explain", "gse1", "--config", str(config)]) == cli.WRONG
    assert capsys.readouterr().err.startswith("elsewhere: no finished results")


def test_what_is_wrong_is_a_document_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "gse1", "--json"]) == cli.WRONG
    out, err = capsys.readouterr()
    error = json.loads(out)["error"]
    assert error["problem"] == "no card 'gse1'" and error["expected"].startswith("one of: ")
    assert "no card 'gse1'" in err
