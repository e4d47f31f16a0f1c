"""The gene look-up page, its data scripts, and the search index."""

from __future__ import annotations

import math

from markupsafe import Markup

from alsmuscle.report import components as c
from alsmuscle.report import model as m
from alsmuscle.report.site import Site

BUCKETS = 128
"""Gene data is spread over this many script files, so that one look-up loads little."""


def page(site: Site, data: m.ReportData) -> str:
    """Return ``gene.html``: one page that draws any gene from its data script (``#id``)."""
    contrasts = [
        {
            "label": m.label(k.meta),
            "study": s.name,
            "href": m.contrast_path(s, k),
            "role": role,
            "sizes": m.sizes(s, k),
            "marks": [c.BADGES[kind][0] for kind, _ in m.marks(s, k)],
        }
        for role, members in data.by_role()
        for s, k in members
    ]
    spec = Markup(c.embed_json({"contrasts": contrasts, "buckets": BUCKETS}))
    return site.render("gene.html.j2", path="gene.html", heading="Gene look-up", spec=spec)


def bucket(gene: str) -> int:
    """Return which data script holds a gene; ``app.js`` computes the same."""
    h = 0
    for char in gene:
        h = (h * 31 + ord(char)) % 65521
    return h % BUCKETS


def scripts(site: Site, data: m.ReportData) -> dict[str, str]:
    """Return the data scripts of the gene page and of the search: path to text.

    Per gene and contrast: place of the contrast in the page's list, log2 fold change, half the
    width of its interval, p, adjusted p, mean.
    """
    records: dict[str, list[str]] = {}
    names: dict[str, tuple[str, str]] = {}
    members = [pair for _, pairs in data.by_role() for pair in pairs]
    for place, (study, contrast) in enumerate(members):
        if contrast.de is None or contrast.de.empty:
            continue
        frame = m.gene_frame(contrast.de)
        frame["half"] = frame["ci_high"] - frame["log2fc"]
        organism = str(study.card.get("organism") or "")
        columns = [
            frame[k].astype(float).tolist() if k in frame else [math.nan] * len(frame)
            for k in ("log2fc", "half", "pvalue", "padj", "base_mean")
        ]
        ids = frame["gene_id"].astype(str)
        for gene, symbol, *values in zip(ids, frame["label"], *columns, strict=True):
            cells = ",".join(f"{v:.3g}" if math.isfinite(v) else "null" for v in values)
            records.setdefault(gene, []).append(f"[{place},{cells}]")
            names.setdefault(gene, (symbol, organism))
    files: dict[int, list[str]] = {}
    for gene in sorted(records):
        head = c.embed_json([gene, *names[gene]])[1:-1].split(",", 1)
        entry = f"{head[0]}:[{head[1]},[{','.join(records[gene])}]]"
        files.setdefault(bucket(gene), []).append(entry)
    made = {
        f"assets/data/gene-{i}.js": f'alsmuscle.receive("gene-{i}",{{{",".join(files[i])}}});\n'
        if i in files
        else f'alsmuscle.receive("gene-{i}",{{}});\n'
        for i in range(BUCKETS)
    }
    made["assets/data/search.js"] = c.data_script(
        "search", {"pages": _pages(site, data), "genes": _lines(names)}
    )
    return made


def _lines(names: dict[str, tuple[str, str]]) -> str:
    rows = sorted((symbol, gene, organism) for gene, (symbol, organism) in names.items())
    return "\n".join("\t".join(" ".join(part.split()) for part in row) for row in rows)


def _pages(site: Site, data: m.ReportData) -> list[list[str]]:
    pages = [
        [
            f"{s.name}: {s.card.get('title') or ''}",
            "study",
            m.study_path(s),
            f"{m.what(s.card, {})} {m.role_title(s.card.get('role'))}",
        ]
        for s in data.studies
    ]
    pages += [
        [
            m.label(k.meta),
            "contrast",
            m.contrast_path(s, k),
            f"{s.name} {m.what(s.card, k.meta)}",
        ]
        for s, k in data.contrasts()
    ]
    pages += [
        [m.programme_title(data.programme_info, p), "programme", m.programme_path(p), p]
        for p in sorted(data.programme_names)
    ]
    pages += [[e["term"], "glossary", f"glossary.html#{e['key']}", ""] for e in site.glossary]
    return pages
