"""With a mirror, or with the network switched off, nothing outside this machine is asked for."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest

from alsmuscle.archives import geo
from alsmuscle.core import files
from alsmuscle.data import fetch
from alsmuscle.data.tables import ADMISSION, CHECKS, MANIFEST
from alsmuscle.download.policy import FetchPolicy

# Every process of a run loads this at its start: it notes and refuses each way out.
GUARD = """
import os, sys

def watch(event, arguments):
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else "local"
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in (None, "", "local", "localhost", "127.0.0.1", "::1"):
        with open(os.environ["GUARD"], "a") as file:
            file.write(f"{event} {host}\\n")
        raise OSError(f"the guard of this test refuses {host}")

sys.addaudithook(watch)
"""


@pytest.fixture
def ways_out(tmp_path_factory, monkeypatch):
    """Return what was tried, once asked."""
    folder = tmp_path_factory.mktemp("guard")
    (folder / "sitecustomize.py").write_text(GUARD)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("GUARD", str(folder / "tried"))
    return lambda: (folder / "tried").read_text() if (folder / "tried").exists() else ""


def _from_geo(project, mirror):
    """Let the card name its files as GEO has them, and put them into a mirror."""

    def named(card):
        card["accession"] = "GSE1"
        sheet = card["files"]["sheet"]
        card["files"] = {
            "counts": {"source": "geo_raw", "members": card["files"]["counts"]["members"]},
            "sheet": {"source": "geo_supplement", "match": r"sh.*\.csv", "sha256": sheet["sha256"]},
        }
        card.pop("simulated")

    project.card(named)
    mirror.mkdir()
    lines = ["url\tpath\tsha256\tbytes"]
    places = {
        "GSE1_RAW.tar": geo.geo_raw_tar("GSE1"),
        "sheet.csv": geo.geo_supplementary("GSE1", "sheet.csv"),
    }
    for name, url in places.items():
        content = (project.folder / "source" / name).read_bytes()
        (mirror / name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        lines.append(f"{url}\t{name}\t{digest}\t{len(content)}")
    (mirror / "index.tsv").write_text("\n".join(lines) + "\n")


def test_a_run_with_a_mirror_asks_nobody(project, ways_out, tmp_path):
    _from_geo(project, tmp_path / "mirror")
    project.config(lambda config: config["data"].update(mirror=str(tmp_path / "mirror")))
    run = project.admit()
    assert run.returncode == 0, run.stderr
    assert ways_out() == ""
    results = project.folder / "results" / "provenance"
    assert set(files.read_table(results / "data" / "gse1.tsv", MANIFEST)["source"]) == {"mirror"}
    checks = files.read_table(results / "checks.tsv", CHECKS).set_index("check")
    assert checks.loc["archive", "state"] == "not verified"
    assert "not in the mirror" in checks.loc["archive", "found"]
    assert files.read_table(results / "admission.tsv", ADMISSION)["admitted"].all()


def test_the_guard_sees_what_gets_out(ways_out):
    code = "import socket; socket.create_connection(('192.0.2.1', 443), 1)"
    run = subprocess.run(
        [sys.executable, "-c", code], env=os.environ, capture_output=True, check=False
    )
    assert run.returncode != 0
    assert "getaddrinfo 192.0.2.1" in ways_out()


@pytest.mark.parametrize(
    "file", [{"source": "geo_raw"}, {"source": "geo_supplement", "match": "x"}]
)
def test_with_the_network_off_nothing_is_tried(file, tmp_path, monkeypatch):
    def no_client(policy):
        raise AssertionError("a request was about to be made")

    monkeypatch.setattr("alsmuscle.download.transport.http_client", no_client)
    card = {
        "id": "gse1",
        "accession": "GSE1",
        "organism": "human",
        "citation": {"text": "x"},
        "files": {"counts": file},
    }
    manifest, checks = fetch.study_files(
        card, cache=tmp_path, policy=FetchPolicy(offline=True, attempts=1)
    )
    assert manifest == []
    (row,) = checks
    assert row["state"] == "unreachable"
    assert "network is" in row["found"]
