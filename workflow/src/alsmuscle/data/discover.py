"""Find series that have no card yet, propose cards for them, and compare cards with the archive.

Nothing here opens a connection: a ``client`` (URL in, text out) is handed in, so that the same code
runs against NCBI, a mirror, or recorded answers. What a program proposes is a draft: switched off,
marked as such, to be read by a person.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from alsmuscle.archives import eutils, geo
from alsmuscle.core.errors import InputError
from alsmuscle.core.files import write_text
from alsmuscle.data import cards
from alsmuscle.data.readers import sample_sheets
from alsmuscle.data.record import ORGANISMS, compare, geo_summary, listed
from alsmuscle.download.policy import FetchError

Client = Callable[[str], str]
__all__ = ["card_text", "compare", "discover", "draft", "write_draft"]

WITH_COUNTS = '"rnaseq counts"[Filter]'
COLUMNS = (
    "accession",
    "title",
    "organism",
    "study_type",
    "n_samples",
    "files",
    "ncbi_counts",
    "in_registry",
    "published",
    "pubmed",
    "sra",
    "platforms",
    "found_by",
)
_BATCH = 200


def discover(
    queries: Mapping[str, str],
    client: Client,
    *,
    papers: Sequence[str] = (),
    known: Iterable[str] = (),
    limit: int = 2000,
) -> pd.DataFrame:
    """Run searches of Entrez ``gds`` and list the series found, each once.

    Parameters
    ----------
    queries
        Name → term in E-utilities' query language (``searches`` of ``config/discovery.yaml``).
    client
        URL → text; raises :class:`FetchError` when it cannot answer. It keeps NCBI's pace.
    papers
        PubMed identifiers; series linked to them are listed too, as found by ``paper``.
    known
        Accessions that the registry has already.
    limit
        Hits that are listed per query; more are reported as a problem.

    Returns
    -------
    DataFrame
        Columns ``COLUMNS``, newest first; ``ncbi_counts`` tells whether NCBI generated
        counts (``yes``, ``no``, ``unknown``).
        ``attrs["problems"]`` holds one line per query that failed, was cut or changed by NCBI,
        ``attrs["failed"]`` the names of those that failed.

    Raises
    ------
    InputError
        No query was answered.
    """
    found_by: dict[str, list[str]] = {}
    counts: dict[str, str] = {}
    problems: list[str] = []
    failed: list[str] = []
    searches: list[tuple[str, Callable[[], list[str]]]] = [
        (name, lambda term=term, name=name: _search(term, client, limit, name, problems))  # type: ignore[misc]
        for name, term in queries.items()
    ]
    if papers:
        searches.append(("paper", lambda: eutils.parse_elink(client(eutils.elink(papers)))))
    for name, search in searches:
        try:
            uids = search()
            for uid in uids:
                found_by.setdefault(uid, []).append(name)
            if name in queries:
                term = f"({queries[name]}) AND {WITH_COUNTS}"
                counted = set(_search(term, client, limit, "", []))
                counts |= {uid: "yes" if uid in counted else "no" for uid in uids}
        except InputError as error:
            problems.append(f"{name}: {error}")
            failed.append(name)
    if len(failed) == len(searches):
        raise InputError("no search was answered: " + "; ".join(problems))
    # gds also holds samples, platforms and curated sets; series are 200000000 + number.
    series = [uid for uid in found_by if re.fullmatch(r"2\d{8}", uid)]
    tables = [
        eutils.parse_esummary(client(eutils.esummary(series[start : start + _BATCH])))
        for start in range(0, len(series), _BATCH)
    ]
    table = pd.concat(tables, ignore_index=True) if tables else eutils.parse_esummary(_NONE)
    registered = {accession.upper() for accession in known}
    table["ncbi_counts"] = [counts.get(uid, "unknown") for uid in table["uid"]]
    table["in_registry"] = table["accession"].str.upper().isin(registered)
    table["found_by"] = [";".join(found_by.get(uid, [])) for uid in table["uid"]]
    table = table[table["type"] == "GSE"].sort_values(
        ["published", "accession"], ascending=[False, True], ignore_index=True
    )[list(COLUMNS)]
    table.attrs |= {"problems": problems, "failed": failed}
    return table


_NONE = '{"result": {"uids": []}}'


def _search(term: str, client: Client, limit: int, name: str, problems: list[str]) -> list[str]:
    """Page through one search; note in ``problems`` what is not as asked."""
    found: list[str] = []
    total = 1
    while len(found) < min(total, limit):
        text = client(eutils.esearch(term, start=len(found), size=_BATCH))
        total, page = eutils.parse_esearch(text)
        if not found:
            problems += [f"{name}: NCBI says {word}" for word in eutils.esearch_warnings(text)]
        page = [uid for uid in page if uid not in found]
        if not page:  # nothing, or the same again
            if total > len(found):
                problems.append(f"{name}: {total} hits, but only {len(found)} were given out")
            break
        found += page
    if total > limit:
        problems.append(f"{name}: {total} hits, the first {limit} are listed")
    return found[:limit]


# --- drafts ---------------------------------------------------------------------------------------


def draft(accession: str, client: Client) -> dict[str, Any]:
    """Propose a study card for a GEO series, from its record, samples and folder listing.

    Groups are proposed from the characteristic that most looks like the compared condition; every
    guess is named under ``caveats``, and every fact is marked ``page`` (as the archive's record
    says) or ``no`` (guessed). The card is ``status: draft`` and ``use: false``.

    Raises
    ------
    InputError
        There is no such series, its samples are incomplete, its species is not one of ours, or it
        offers no file.
    FetchError
        The archive did not answer.
    """
    record = geo_summary(accession, client)
    accession = str(record["accession"])
    samples = _samples(record, client)
    organisms = [ORGANISMS.get(name.strip(), "") for name in record["organism"].split(";")]
    if len(organisms) != 1 or not organisms[0]:
        raise InputError(
            f"the samples are of {record['organism']}",
            where=accession,
            expected="one of " + ", ".join(ORGANISMS),
            remedy="write the card by hand for one species",
        )
    caveats: list[str] = []
    files, names = _files(record, client, caveats)
    modality = _modality(record, names.values())
    columns, contrasts = _groups(samples, caveats)
    card: dict[str, Any] = {
        "id": cards.plain(accession),
        "accession": accession,
        "title": record["title"],
        "organism": organisms[0],
        "modality": modality,
        "role": _role(record, caveats),
        "platform": record["platforms"].replace(";", ", ") or "unknown",
        "use": False,
        "use_reason": DRAFT,
        "missing": {},
        "status": "draft",
        "citation": {"text": f"GEO series {accession}, public {record['published']}"},
        "files": files,
    }
    if record["pubmed"]:
        card["citation"]["pmid"] = record["pubmed"].split(";")[0]
    if modality == "bulk":
        card["counts"] = _counts(accession, names, client, caveats)
        if card["counts"] is None:
            del card["counts"]
            card["missing"]["counts"] = (
                "No supplementary file looks like a table of counts; use recount3, or the reads "
                "in ENA."
            )
    elif modality == "cells":
        card["cells"] = _cells(record, names, client, caveats)
    else:
        # The SOFT family also says which gene a probe measures.
        files["soft_family"] = {"source": "geo_soft"}
        card["intensities"] = [
            {"platform": name, "file": "soft_family", "layout": "soft", "scale": "auto"}
            for name in record["platforms"].split(";")
        ]
    card["samples"] = {
        "sheet": {"file": "series_matrix", "layout": "series_matrix"},
        "sample_id": "geo_accession",
        "expected": int(record["n_samples"]),
        "columns": columns,
    }
    if not contrasts:
        card["missing"]["groups"] = (
            "No characteristic groups the samples: fill in the condition and the contrasts."
        )
    if not card["missing"]:
        del card["missing"]
    card["caveats"] = caveats
    card["contrasts"] = contrasts
    card["facts"] = {
        **dict.fromkeys(("accession", "title", "organism", "samples", "platform"), "page"),
        **dict.fromkeys(("modality", "role", "groups", "counts", "contrasts"), "no"),
    }
    return card


def write_draft(accession: str, client: Client, folder: Path) -> tuple[Path, list[str]]:
    """Write the draft of a series into a folder, and say what in it is missing or guessed.

    Raises
    ------
    InputError
        A card of that name is there already, or the series cannot be drafted.
    FetchError
        The archive did not answer.
    """
    path = folder / f"{cards.plain(accession)}.yaml"
    if path.exists():
        raise InputError(
            "a card is there already",
            where=path,
            remedy="write the draft elsewhere with `--to`, and compare",
        )
    card = draft(accession, client)
    cards.validate(card, "dataset", path)
    cards.check_card(card, path)
    write_text(path, card_text(card))
    return path, [*card.get("missing", {}).values(), *card["caveats"]]


DRAFT = "Draft written by a program: nobody has read it yet."


def card_text(card: Mapping[str, Any]) -> str:
    """Return a card as YAML, keys in the card's order."""
    import yaml

    text = yaml.safe_dump(dict(card), sort_keys=False, allow_unicode=True, width=100)
    head = ""
    if card.get("status") == "draft":
        head = (
            "# A draft, proposed by a program. Read every line against the archive and the paper,\n"
            "# then set `status: candidate` and `use: true` and remove `use_reason`.\n"
        )
    return head + text


def _samples(record: Mapping[str, Any], client: Client) -> pd.DataFrame:
    """Return all samples of a series, or raise if the archive gave fewer than its record says."""
    accession = record["accession"]
    samples = sample_sheets.parse_soft_samples(client(geo.geo_brief(accession, "gsm")))
    if len(samples) != record["n_samples"] or samples["geo_accession"].duplicated().any():
        raise InputError(
            f"{samples['geo_accession'].nunique()} different samples came",
            where=accession,
            expected=f"{record['n_samples']} samples, as the archive's record says",
            remedy="try again; a truncated series is never used",
        )
    return samples


def _files(
    record: Mapping[str, Any], client: Client, caveats: list[str]
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Return ``files``, and the file names of those that are supplementary: key to name."""
    accession = record["accession"]
    matrices = listed(geo.geo_folder(accession, "matrix"), client)
    matrices = [name for name in matrices if name.endswith("_series_matrix.txt.gz")]
    files = {"series_matrix": {"source": "geo_matrix"}}
    if len(matrices) > 1:
        caveats.append(
            f"The series has {len(matrices)} series matrices, one per platform; "
            "the sheet is the first."
        )
    if matrices and (platform := re.search(r"-(GPL\d+)_", matrices[0])):
        files["series_matrix"]["platform"] = platform[1]
    names = {}
    for name in listed(geo.geo_folder(accession, "suppl"), client):
        if name == "filelist.txt":
            continue
        key = _slug(name.removeprefix(f"{accession}_"), files)
        names[key] = name
        raw = name == f"{accession}_RAW.tar"
        files[key] = {"source": "geo_raw"} if raw else {"source": "geo_supplement", "name": name}
    links = geo.parse_counts_page(client(geo.ncbi_counts_page(accession)))
    if any("_raw_counts_" in name for name in links):
        files["ncbi_counts"] = {"source": "ncbi_counts"}
        names["ncbi_counts"] = next(name for name in links if "_raw_counts_" in name)
    if not names and "sequencing" in record["study_type"]:
        raise InputError(
            "the series offers no processed file",
            where=accession,
            remedy="use recount3, or the reads in ENA",
        )
    return files, names


def _counts(
    accession: str, names: Mapping[str, str], client: Client, caveats: list[str]
) -> dict[str, Any] | None:
    """Propose a ``counts`` block: NCBI's counts, else a table, else a tar of tables."""
    plain = {"layout": "table", "type": "counts", "header": True, "gene_column": 0}
    if "ncbi_counts" in names:
        return {"file": "ncbi_counts", **plain, "separator": "tab"}
    caveats.append("The layout of the count file is a guess: open it before use.")
    for key, name in names.items():
        if re.search(r"count", key) and not re.search(r"norm|fpkm|tpm|rpkm", key):
            if re.search(r"\.xlsx?(\.gz)?$", name):
                return {"file": key, **plain}
            comma = re.search(r"\.csv(\.gz)?$", name)
            return {"file": key, **plain, "separator": "comma" if comma else "tab"}
    tar = next((key for key, name in names.items() if name.endswith("_RAW.tar")), "")
    if tar:
        member = _member_pattern(accession, client)
        layout = {"layout": "tar_tables", "member": member, "count_column": 1, "header": False}
        return {"file": tar, **plain, **layout, "separator": "tab"}
    return None


def _member_pattern(accession: str, client: Client) -> str:
    """Return an expression for the per-sample files of a ``_RAW.tar``, from their common ending."""
    try:
        listed = geo.parse_filelist(client(geo.geo_supplementary(accession, "filelist.txt")))
    except FetchError:
        return r"^(?P<sample_id>GSM\d+)_.*$"
    names = listed.loc[listed["kind"] == "File", "name"]
    endings = names.str.extract(r"((?:\.[A-Za-z]\w*)+)$")[0].dropna()
    ending = re.escape(endings.mode().iloc[0]) if len(endings) else ""
    return rf"^(?P<sample_id>GSM\d+)_.*{ending}$"


def _cells(
    record: Mapping[str, Any], names: Mapping[str, str], client: Client, caveats: list[str]
) -> dict[str, Any]:
    """Propose a ``cells`` block; file names tell the layout, words the material."""
    ranked = (r"\.h5ad", r"_RAW\.tar$", r"\.h5", r"")
    file = next(key for want in ranked for key in names if re.search(want, names[key]))
    words = f"{record['title']} {record['summary']}".lower()
    material = "spots" if "visium" in words or "spatial" in words else "cells"
    material = "nuclei" if re.search(r"nucle(us|i)\b|\bsn(rna|uc)", words) else material
    tar = names[file].endswith("_RAW.tar")
    inside = _member_pattern(record["accession"], client) if tar else names[file]
    inside = inside.replace("\\", "")
    layout = "h5ad" if ".h5ad" in inside else "10x_h5" if ".h5" in inside else "10x_triplets"
    caveats.append(f"That a barcode is one of {material} and the layout {layout} are guesses.")
    block = {"layout": layout, "material": material, "file": file}
    if layout == "h5ad":
        return {**block, "sample_column": "sample"}
    one = r"(?P<sample_id>GSM\d+)"
    member = rf"^{one}.*\.h5$" if layout == "10x_h5" else rf"^(?P<prefix>{one}.*?)matrix\.mtx"
    return {**block, "member": member}


def _modality(record: Mapping[str, Any], names: Iterable[str]) -> str:
    words = f"{record['title']} {record['summary']}".lower()
    if "sequencing" not in record["study_type"]:
        return "array"
    single = r"single[- ](cell|nucle)|\bs[cn]rna|10x genomics|drop-seq"
    if re.search(single, words) or re.search(
        r"barcodes|\.mtx|\.h5(ad)?\b", " ".join(names).lower()
    ):
        return "cells"
    return "bulk"


_ROLES = {
    "denervation": r"denervat|sciatic|nerve (crush|transection|injury)",
    "als_patient": r"\bals\b|amyotrophic",
    "other_mnd": r"spinal muscular atrophy|\bsma\b|\bsbma\b|kennedy",
    "inflammatory_myopathy": r"myositis",
    "disuse": r"bed ?rest|immobili[sz]|unloading|spaceflight|disuse",
    "myopathy": r"dystroph|myopath",
    "ageing": r"sarcopeni|age?ing\b|\baged\b",
    "regeneration": r"regenerat|cardiotoxin|notexin",
    "intervention": r"training|exercise",
}


def _role(record: Mapping[str, Any], caveats: list[str]) -> str:
    """Guess the role from title and summary; the title outweighs the summary."""
    caveats.append("The role is a guess from words in title and summary.")
    for text in (record["title"], record["summary"]):
        for role, pattern in _ROLES.items():
            if re.search(pattern, text.lower()):
                human = "Homo sapiens" in record["organism"]
                return "als_model" if role == "als_patient" and not human else role
    return "not_muscle"


_TELLING = (
    r"disease|diagnos|genotype|condition|group|treatment|status|injur|phenotype|time|intervention"
)
_REFERENCE = (
    r"control|healthy|normal|wild|\bwt\b|sham|vehicle|untreated|innervated|contralateral|baseline|"
    r"\bpre\b|\bctl\b|young|none"
)


def _groups(
    samples: pd.DataFrame, caveats: list[str]
) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """Return ``samples.columns`` and ``contrasts`` from the samples' characteristics."""
    levels = {
        str(name): samples[name].value_counts()
        for name in samples.columns
        if re.search(r":ch\d+$", str(name))
    }
    columns: dict[str, dict[str, Any]] = {}
    for target, pattern in (("sex", r"^(sex|gender)\b"), ("muscle", r"^(tissue|muscle)\b")):
        name = next((name for name in levels if re.search(pattern, name.lower())), "")
        if name:
            columns[target] = {"from": name, "map": _mapping(levels[name].index, target)}
    age = next((name for name in levels if re.match(r"age\b", name.lower())), "")
    if age:
        columns["age"] = {"from": age, "pattern": r"([\d.]+)", "numeric": True}
    taken = {rule["from"] for rule in columns.values()}
    fit = {
        name: counts
        for name, counts in levels.items()
        if name not in taken and 2 <= len(counts) <= 12 and counts.min() >= 2 and "" not in counts
    }
    ranked = sorted(fit, key=lambda name: (not re.search(_TELLING, name.lower()), len(fit[name])))
    if not ranked:
        return {"condition": {"value": ""}, **columns}, []
    chosen, *others = ranked
    groups = "; ".join(f"{level!r} {count}" for level, count in fit[chosen].items())
    caveats.append(f"The condition is a guess: {chosen!r} with {groups}.")
    if others:
        caveats.append("Other characteristics that group the samples: " + ", ".join(others) + ".")
    mapping = _mapping(fit[chosen].index, "condition")
    columns = {"condition": {"from": chosen, "map": mapping}, **columns}
    likely = [raw for raw in mapping if re.search(_REFERENCE, raw.lower())]
    reference = (likely or list(mapping))[0]
    if len(likely) != 1:
        caveats.append(f"The reference group {reference!r} is a guess.")
    contrasts = [
        {
            "id": f"{level}_vs_{mapping[reference]}",
            "label": f"{raw} against {reference}",
            "variable": "condition",
            "target": level,
            "reference": mapping[reference],
        }
        for raw, level in mapping.items()
        if raw != reference
    ]
    return columns, contrasts


def _mapping(raw: Iterable[object], target: str) -> dict[str, str]:
    """Return raw value → harmonised value, different for different raw values."""
    mapping: dict[str, str] = {}
    for value in sorted(str(item) for item in raw):
        if target == "sex":
            letter = value.strip().lower()[:1]
            mapping[value] = {"f": "female", "m": "male"}.get(letter, "")
        elif target == "muscle":
            mapping[value] = value.lower()
        else:
            mapping[value] = _slug(value, set(mapping.values()))
    return mapping


def _slug(text: str, taken: Iterable[str]) -> str:
    """Return a short name of letters, digits and ``_`` that is not taken."""
    stem = re.sub(r"\.(gz|txt|tsv|csv|xlsx|tar)(?=\.|$)", "", text.lower())
    stem = re.sub(r"[^a-z0-9]+", "_", stem).strip("_")[:40] or "x"
    stem = stem if stem[0].isalpha() else f"x{stem}"
    used, number, name = set(taken), 1, stem
    while name in used:
        number += 1
        name = f"{stem}_{number}"
    return name
