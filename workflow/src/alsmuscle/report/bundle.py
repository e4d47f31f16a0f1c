"""A finished run as one archive to cite: pages, tables, provenance and workflow, as an RO-Crate.

The metadata follow the profile Workflow Run Crate 0.5 (https://w3id.org/ro/wfrun/workflow/0.5), so
that registries and tools know what was run, from which files, and what came out. Written by the
library ``rocrate``; needs what ``make docs`` installs. Run by ``make bundle``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alsmuscle.core import files
from alsmuscle.core.errors import InputError
from alsmuscle.core.redaction import shown
from alsmuscle.data import cards

PROJECT = Path(__file__).resolve().parents[4]
# Of a results folder; `report` holds the tables that its pages link.
PARTS = {
    "report": "pages for a browser, with the tables that they link",
    "synthesis": "all studies together: verdicts, pooled effects, data dictionary",
    "provenance": "effective configuration, data lock, versions, completeness of every study",
}
# Of the checkout: what computes the results again.
WORKFLOW = ("Snakefile", "workflow", "config", "envs", "pyproject.toml", "CITATION.cff", "LICENSE")
_LEFT = {"__pycache__", ".DS_Store"}
_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}


def write(results: Path, archive: Path) -> Path:
    """Write a finished run as a zip with RO-Crate metadata.

    Raises
    ------
    InputError
        The run has not come to its end, or the library is not there.
    """
    crate = _crate(results)
    archive.parent.mkdir(parents=True, exist_ok=True)
    crate.write_zip(archive)
    return archive


def _crate(results: Path) -> Any:
    try:
        from rocrate.model.contextentity import ContextEntity
        from rocrate.rocrate import ROCrate
    except ImportError:
        raise InputError(
            "the library `rocrate` is not installed",
            remedy="run `make bundle`, which installs it, or pip install -r envs/docs.txt",
        ) from None
    for part in PARTS:
        if not any((results / part).glob("*")):
            raise InputError(
                f"no finished run: `{part}/` is missing",
                where=results,
                remedy="finish it with `make run`, or name the folder of another: "
                "RESULTS=results/demo",
            )
    cited = cards.load_yaml(PROJECT / "CITATION.cff")
    crate = ROCrate(version="1.1")  # what the profile is written for
    ended = _when(results / "report" / "index.html")
    crate.name = f"Run of alsmuscle {cited['version']}, {ended:%Y-%m-%d}"
    crate.description = (
        files.read_text(results / "report" / "summary.txt").strip() or cited["title"]
    )
    crate.license = f"https://spdx.org/licenses/{cited['license']}"
    crate.datePublished = ended
    author = crate.add(
        ContextEntity(
            crate,
            "#authors",
            properties={"@type": "Organization", "name": cited["authors"][0]["name"]},
        )
    )
    crate.root_dataset["author"] = author
    for profile, (name, version) in _PROFILES.items():
        entity = {"@type": "CreativeWork", "name": name, "version": version}
        crate.root_dataset.append_to(
            "conformsTo", crate.add(ContextEntity(crate, profile, properties=entity))
        )
    inputs = [
        crate.add(
            ContextEntity(crate, f"#{row['study']}-{row['name']}", properties=row_entity(row))
        )
        for row in _lock(results)
    ]
    outputs = [_folder(crate, results / part, part, about) for part, about in PARTS.items()]
    workflow = crate.add_workflow(
        PROJECT / "Snakefile",
        "Snakefile",
        main=True,
        lang="snakemake",
        properties={
            "name": cited["title"],
            "version": str(cited["version"]),
            "license": crate.license,
            "creator": author,
            "url": cited["repository-code"],
        },
    )
    for name in WORKFLOW[1:]:
        _folder(crate, PROJECT / name, name, "the workflow as it ran")
    versions = files.read_json(results / "provenance" / "versions.json")
    engine = {
        "@type": "SoftwareApplication",
        "name": "Snakemake",
        "version": versions["packages"].get("snakemake", ""),
        "url": "https://snakemake.github.io",
    }
    crate.add_action(
        workflow,
        identifier="#run",
        object=inputs,
        result=outputs,
        properties={
            "name": crate.name,
            "startTime": min(_when(p) for p in (results / "logs").rglob("*.log")).isoformat()
            if (results / "logs").is_dir()
            else ended.isoformat(),
            "endTime": ended.isoformat(),
            "agent": author,
            "description": f"commit {versions['commit'] or 'unknown'}",
        },
    )
    crate.add(ContextEntity(crate, "#snakemake", properties=engine))
    return crate


def row_entity(row: dict[str, str]) -> dict[str, Any]:
    """Return a file of the data lock as an entity: named, hashed, where it came from."""
    public = row["url"].startswith(("http://", "https://", "ftp://"))
    return {
        "@type": "CreativeWork",
        "name": f"{row['study']}: {row['name']}",
        "sha256": row["sha256"],
        "contentSize": row["bytes"],
        **({"url": row["url"]} if public else {"description": shown(row["url"])}),
    }


def _lock(results: Path) -> list[dict[str, str]]:
    import pandas as pd

    table = pd.read_csv(
        results / "provenance" / "data_lock.tsv", sep="\t", dtype=str, keep_default_na=False
    )
    return [dict(row) for row in table.to_dict("records")]


def _when(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(microsecond=0)


def _paths(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for below in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in below.relative_to(path).parts)
        if below.is_file() and not hidden and not _LEFT & set(below.parts):
            yield below


def _folder(crate: Any, path: Path, name: str, about: str) -> Any:
    """Add a file, or a folder with its files, and return its entity."""
    if path.is_file():
        return crate.add_file(path, name, properties={"name": name, "description": about})
    folder = crate.add_dataset(None, f"{name}/", properties={"name": name, "description": about})
    for below in _paths(path):
        where = f"{name}/{below.relative_to(path).as_posix()}"
        folder.append_to("hasPart", crate.add_file(below, where, properties={"name": below.name}))
    return folder


def main(arguments: list[str] | None = None) -> int:
    """Write the archive that the command line names;
    return 0, or 1 where there is nothing to pack.
    """
    parser = argparse.ArgumentParser(prog="make bundle", description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", default=Path("results"))
    parser.add_argument("archive", type=Path, nargs="?", default=Path("results/bundle.zip"))
    options = parser.parse_args(arguments)
    try:
        path = write(options.results, options.archive)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
