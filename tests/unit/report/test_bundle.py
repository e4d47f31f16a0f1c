"""A finished run as an archive: what is in it, and that it keeps the profile."""

from __future__ import annotations

import importlib.resources
import json
import zipfile

import pytest

from alsmuscle.core.errors import InputError
from alsmuscle.report import bundle


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    texts = {
        "report/index.html": "<html></html>",
        "report/summary.txt": "2 studies",
        "synthesis/claims.tsv": "claim\nC1\n",
        "provenance/config.yaml": "results: results\n",
        "provenance/versions.json": json.dumps({"commit": "abc", "packages": {"snakemake": "9"}}),
        "provenance/data_lock.tsv": "study\tname\turl\tsha256\tbytes\n"
        "gse1\tcounts\thttps://host/a.gz\tff\t7\nlab\tcounts\t/home/me/patients/b.csv\tee\t8\n",
        "logs/bulk_fit/a.log": "",
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.verify
def test_an_unfinished_run_is_refused(results, tmp_path):
    (results / "report" / "index.html").unlink()
    (results / "report" / "summary.txt").unlink()
    with pytest.raises(InputError, match=r"no finished run: `report/` is missing"):
        bundle.write(results, tmp_path / "a.zip")


def test_a_file_of_ones_own_is_named_without_its_folder():
    row = {"study": "lab", "name": "counts", "sha256": "ee", "bytes": "8"}
    entity = bundle.row_entity({**row, "url": "/home/me/patients/b.csv"})
    assert "url" not in entity and "patients" not in str(entity) and "b.csv" in str(entity)
    assert bundle.row_entity({**row, "url": "https://host/a"})["url"] == "https://host/a"


@pytest.mark.verify
def test_the_archive_keeps_the_profile_workflow_run_crate(results, tmp_path, monkeypatch):
    import requests
    from rocrate_validator import models, services
    from rocrate_validator.utils import http

    archive = bundle.write(results, tmp_path / "bundle.zip")
    with zipfile.ZipFile(archive) as packed:
        names = set(packed.namelist())
        packed.extractall(tmp_path / "crate")
    wanted = {"Snakefile", "report/index.html", "synthesis/claims.tsv", "CITATION.cff"}
    assert wanted <= names
    assert "patients" not in (tmp_path / "crate" / "ro-crate-metadata.json").read_text()

    # The context as the library carries it, with the one name that version 1.1 spells otherwise.
    text = (importlib.resources.files("rocrate") / "data" / "ro-crate.jsonld").read_text()
    new, old = (f"https://bioschemas.org/{part}ComputationalWorkflow" for part in ("terms/", ""))

    def get(_, url, **__):
        assert url == "https://w3id.org/ro/crate/1.1/context"
        answer = requests.Response()
        answer.status_code, answer.url = 200, url
        answer._content = text.replace(new, old).encode()
        answer.headers["Content-Type"] = "application/ld+json"
        return answer

    monkeypatch.setattr(http.HttpRequester, "get", get, raising=False)
    found = services.validate(
        {
            "rocrate_uri": str(tmp_path / "crate"),
            "profile_identifier": "workflow-run-crate-0.5",
            "requirement_severity": models.Severity.REQUIRED,
        }
    )
    assert found.passed(), [issue.message for issue in found.get_issues()]
