"""Invented report data to the contracts of DESIGN section 3, seeded; shared by the page tests."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from alsmuscle.report.build import ContrastData, ReportData, StudyData, Synthesis
from alsmuscle.report.model import Expression
from alsmuscle.synthesis import changes
from support import ROOT

TEMPLATES = ROOT / "workflow" / "report"
HOSTILE = "<script>window.pwned=1</script>\"'><img src=x onerror=window.pwned=1>"
PROGRAMMES = {
    "DENERVATION": ("Denervation response", "up", ""),
    "MYOGENIC_DIFF": (
        "Myogenic regulators",
        "mrf",
        "In bulk muscle MYOD1 and MYOG rise with denervation, inside myonuclei. Higher here is no "
        "sign of better myogenesis; only satellite cells can show that.",
    ),
    "NMJ_POSTSYN": ("Postsynaptic NMJ", "achr", "AChR subunits rise when the nerve is lost."),
    "MITO_OXPHOS": ("Mitochondria and OXPHOS", "oxphos", ""),
    "MACROPHAGE": ("Macrophages", "pan", ""),
    "FIBROSIS_TGFB": ("Fibrosis and TGF-beta", "ecm", ""),
    "FIBER_FAST": ("Fast fibres", "core", ""),
    "PROLIFERATION": ("Proliferation", "core", ""),
}


def templates() -> dict[str, str]:
    return {p.name: p.read_text(encoding="utf-8") for p in sorted(TEMPLATES.glob("*.*"))}


def samples(rng: np.random.Generator, n_target: int, n_reference: int) -> pd.DataFrame:
    n = n_target + n_reference
    return pd.DataFrame(
        {
            "dataset": "gse000001",
            "sample_id": [f"GSM{5600000 + i}" for i in range(n)],
            "subject_id": [f"P{i:02d}" for i in range(n)],
            "condition": ["als"] * n_target + ["healthy"] * n_reference,
            "stage": pd.Series([None] * n, dtype=object),
            "sex": rng.choice(["female", "male"], n),
            "age": rng.integers(40, 75, n),
            "age_unit": "year",
            "muscle": "vastus lateralis",
            "raw_characteristics": [
                f"diagnosis: {'ALS' if i < n_target else 'control'}" for i in range(n)
            ],
        }
    )


def qc(rng: np.random.Generator, sheet: pd.DataFrame) -> pd.DataFrame:
    n = len(sheet)
    female = (sheet["sex"] == "female").to_numpy()
    shift = np.where(sheet["condition"] == "als", 12.0, -12.0)
    frame = pd.DataFrame(
        {
            "sample_id": sheet["sample_id"],
            "library_size": (rng.lognormal(17, 0.25, n)).round(),
            "genes_detected": rng.integers(14500, 17500, n),
            "pct_mito": rng.gamma(8, 1.5, n),
            "pct_ribo": rng.gamma(6, 0.5, n),
            "pct_hb": rng.gamma(1, 0.3, n),
            "top_gene_share": rng.beta(4, 60, n),
            "xist": np.where(female, 9, 1) + rng.normal(0, 0.4, n),
            "y_genes": np.where(female, 1, 8) + rng.normal(0, 0.4, n),
            "sex_inferred": np.where(female, "female", "male"),
            "pc1": shift + rng.normal(0, 9, n),
            "pc2": rng.normal(0, 10, n),
            "outlier_distance": rng.chisquare(2, n),
            "median_correlation": rng.beta(200, 6, n),
            "flags": pd.Series([None] * n, dtype=object),
            "reasons": pd.Series([None] * n, dtype=object),
        }
    )
    frame.loc[2, "library_size"] = 1.4e6
    frame.loc[2, ["flags", "reasons"]] = ["library_size", "library_size 1.4 million < 5 million"]
    frame.loc[5, "sex_inferred"] = {"female": "male", "male": "female"}[sheet.loc[5, "sex"]]
    frame.loc[5, ["flags", "reasons"]] = ["sex", "declared sex differs from XIST and Y genes"]
    return frame


def de(rng: np.random.Generator, n_genes: int, n_target: int, n_reference: int) -> pd.DataFrame:
    mean = rng.lognormal(5, 2, n_genes)
    se = 0.12 + 0.6 / np.sqrt(mean)
    truth = np.where(rng.random(n_genes) < 0.12, rng.normal(0, 1, n_genes), 0)
    lfc = truth + rng.normal(0, 1, n_genes) * se
    stat = lfc / se
    from scipy.stats import norm

    pvalue = 2 * norm.sf(np.abs(stat))
    order = np.argsort(pvalue)
    padj = np.empty(n_genes)
    padj[order] = np.minimum.accumulate(
        (pvalue[order] * n_genes / np.arange(1, n_genes + 1))[::-1]
    )[::-1]
    named = ["MYOG", "MYOD1", "CHRNA1", "CHRNG", "NCAM1", "XIST", "TTN", "ACTA1"]
    frame = pd.DataFrame(
        {
            "dataset": "gse000001",
            "contrast": "als_v_healthy",
            "cell_type": "muscle",
            "gene_id": [f"ENSG{i:011d}" for i in range(n_genes)],
            "symbol": [*named, *[f"GENE{i}" for i in range(len(named), n_genes)]][:n_genes],
            "base_mean": mean,
            "log2fc": lfc,
            "lfc_se": se,
            "log2fc_shrunk": lfc * 0.8,
            "stat": stat,
            "df": np.nan,
            "pvalue": pvalue,
            "log2fc_hidden": lfc,
            "lfc_se_hidden": se,
            "pvalue_hidden": pvalue,
            "padj": padj,
            "n_replaced": 0,
            "n_target": n_target,
            "n_reference": n_reference,
            "donors_target": n_target,
            "donors_reference": n_reference,
        }
    )
    frame.loc[mean < 4, "padj"] = np.nan
    return frame


def gsea(rng: np.random.Generator) -> pd.DataFrame:
    terms = [
        "HALLMARK_MYOGENESIS",
        "HALLMARK_OXIDATIVE_PHOSPHORYLATION",
        "HALLMARK_INFLAMMATORY_RESPONSE",
    ]
    nes = np.array([1.7, -2.1, 1.2])
    return pd.DataFrame(
        {
            "dataset": "gse000001",
            "contrast": "als_v_healthy",
            "cell_type": "muscle",
            "collection": "hallmark",
            "term": terms,
            "size": [180, 190, 150],
            "es": nes / 3,
            "nes": nes,
            "pvalue": [1e-4, 1e-9, 0.2],
            "padj": [1.5e-4, 3e-9, 0.2],
            "leading_edge": [
                "MYOG;CHRNA1;NCAM1;GENE9;GENE10;GENE11;GENE12;GENE13;GENE14",
                "GENE20;GENE21",
                "",
            ],
        }
    )


def sets() -> pd.DataFrame:
    """Three sets, of which the first folds under the second."""
    terms = [
        "HALLMARK_OXIDATIVE_PHOSPHORYLATION",
        "HALLMARK_MYOGENESIS",
        "HALLMARK_INFLAMMATORY_RESPONSE",
    ]
    effect = np.array([-0.8, -0.5, 0.1])
    return pd.DataFrame(
        {
            "collection": "hallmark",
            "term": terms,
            "size": [190, 180, 150],
            "effect": effect,
            "se": 0.1,
            "ci_low": effect - 0.2,
            "ci_high": effect + 0.2,
            "pvalue": [1e-6, 1e-4, 0.4],
            "padj": [3e-6, 1.5e-4, 0.4],
            "pvalue_competitive": [0.003, 0.02, 0.7],
            "padj_competitive": [0.009, 0.03, 0.7],
            "background": 0.0,
            "camera_pvalue": [0.04, 0.06, 0.8],
            "ora_up_pvalue": 1.0,
            "ora_down_pvalue": 0.5,
            "group": ["hallmark: HALLMARK_OXIDATIVE_PHOSPHORYLATION"] * 2
            + ["hallmark: HALLMARK_INFLAMMATORY_RESPONSE"],
        }
    )


def with_pathways(data: ReportData) -> ReportData:
    """Return the data with genes of their sets, and every comparison's GSEA computed from its
    genes.
    """
    from by_config import pathways

    rng = np.random.default_rng(5)
    known = data.studies[0].contrasts[0].de
    assert known is not None
    up = known.sort_values("stat", ascending=False)["symbol"].tolist()
    anywhere = known["symbol"].tolist()
    sets = {
        "HALLMARK_MYOGENESIS": [*up[:80:4], *rng.choice(anywhere, 15, replace=False)],
        "HALLMARK_OXIDATIVE_PHOSPHORYLATION": [
            *up[-80::4],
            *rng.choice(anywhere, 15, replace=False),
        ],
        "HALLMARK_INFLAMMATORY_RESPONSE": [*rng.choice(anywhere, 30, replace=False)],
    }
    sets = {term: list(dict.fromkeys(map(str, genes))) for term, genes in sets.items()}
    studies = [
        replace(
            item,
            contrasts=[
                k
                if k.gsea is None or k.de is None
                else replace(
                    k, gsea=pathways.gsea(pathways.ranking(k.de), {"hallmark": sets}, seed=1)
                )
                for k in item.contrasts
            ],
        )
        for item in data.studies
    ]
    return replace(data, studies=studies, gene_sets={"hallmark": sets})


def drivers(genes: pd.DataFrame) -> pd.DataFrame:
    """Seven genes of one block in falling contribution."""
    first = genes.dropna(subset=["log2fc"]).head(7)
    columns = ["gene_id", "symbol", "base_mean", "log2fc", "lfc_se", "df", "padj"]
    return first[columns].assign(
        programme="MYOGENIC_DIFF",
        block="mrf",
        stripped=False,
        sign=1,
        contribution=[0.7, -0.6, 0.5, -0.4, 0.3, 0.2, 0.1],
    )


def coverage() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "programme": "MYOGENIC_DIFF",
            "block": "mrf",
            "organism": ["human", "mouse"],
            "n_listed": 4,
            "n_mapped": [4, 3],
            "former": "",
            "unknown": ["", "Vamp7"],
            "no_counterpart": "",
            "differs": ["", "Naip1|Naip5"],
        }
    )


def programme_effects(rng: np.random.Generator, scale: float = 1.0) -> pd.DataFrame:
    mean = np.array([0.75, 0.5, 0.6, -0.35, 0.3, 0.25, -0.1, 0.02]) * scale
    rows = []
    for stripped in (False, True):
        for (programme, (_, block, _)), m in zip(PROGRAMMES.items(), mean, strict=True):
            if stripped and programme == "DENERVATION":
                continue
            effect = m * (0.5 if stripped else 1) + rng.normal(0, 0.04)
            se = 0.08 + 0.06 * rng.random()
            rows.append(
                {
                    "programme": programme,
                    "block": block,
                    "stripped": stripped,
                    "effect": effect,
                    "se": se,
                    "df": 30.0,
                    "ci_low": effect - 2.04 * se,
                    "ci_high": effect + 2.04 * se,
                    "pvalue": 0.01,
                    "padj": 0.03,
                    "hedges_g": effect / 0.4,
                    "n_genes": 30,
                    "n_mapped": 28 - 6 * stripped,
                }
            )
    return pd.DataFrame(rows)


def programme_genes() -> pd.DataFrame:
    rows = [
        {
            "programme": p,
            "block": b,
            "sign": "+",
            "symbol": f"{p[:3]}{i}",
            "mouse": f"{p[:3].title()}{i}",
            "in_denervation_signature": int(i % 3 == 0),
            "source": "invented for the test",
        }
        for p, (_, b, _) in PROGRAMMES.items()
        for i in range(9)
    ]
    return pd.DataFrame(rows)


def expression(rng: np.random.Generator, sheet: pd.DataFrame, genes: pd.DataFrame) -> Expression:
    """Log2 levels of all genes in all samples."""
    values = rng.gamma(2, 2, (len(genes), 1)) + rng.normal(0, 0.4, (len(genes), len(sheet)))
    return Expression(
        values=np.maximum(values, 0).astype(np.float32),
        genes=genes["gene_id"].tolist(),
        symbols=genes["symbol"].tolist(),
        samples=sheet.assign(sample=sheet["sample_id"]),
        unit="log2(counts per million + 1)",
    )


def study(seed: int = 1, n_genes: int = 2000, **card: Any) -> StudyData:
    rng = np.random.default_rng(seed)
    n_target, n_reference = 22, 10
    sheet = samples(rng, n_target, n_reference)
    metrics = qc(rng, sheet)
    factor = rng.normal(size=(len(sheet), 3))
    correlation = pd.DataFrame(
        0.9 + 0.1 * np.corrcoef(factor),
        index=sheet["sample_id"],
        columns=sheet["sample_id"].to_list(),
    )
    base = {
        "id": f"gse{seed:06d}",
        "accession": f"GSE{seed:06d}",
        "title": "Skeletal muscle biopsies in ALS and healthy volunteers",
        "url": f"https://www.ncbi.nlm.nih.gov/geo/query/acc.cgi?acc=GSE{seed:06d}",
        "role": "als_patient",
        "organism": "human",
        "modality": "bulk RNA-seq",
        "muscle": "vastus lateralis",
        "material": "needle biopsy",
        "citation": {
            "text": "Invented et al. 2026, Journal of Fixtures",
            "doi": "10.1000/fixture",
            "pmid": "1",
        },
        "status": "complete",
        "facts": {"samples": {"value": 32, "checked": "agrees with the archive"}},
    }
    genes = de(rng, n_genes, n_target, n_reference)
    contrast = ContrastData(
        meta={
            "id": "als_v_healthy",
            "label": "ALS v healthy",
            "target": "als",
            "reference": "healthy",
            "variable": "condition",
            "role": "als_patient",
            "adjust": ["sex"],
        },
        de=genes,
        gsea=gsea(rng),
        sets=sets(),
        drivers=drivers(genes),
        programmes=programme_effects(rng),
        files={
            k: f"../bulk/gse{seed:06d}/als_v_healthy/{k}.tsv"
            for k in ("de", "gsea", "sets", "programmes")
        },
    )
    small = ContrastData(
        meta={
            "id": "late_v_early",
            "label": "Late v early ALS",
            "target": "late",
            "reference": "early",
            "role": "als_patient",
            "confounded": ["batch"],
            "n_target": 2,
            "n_reference": 2,
            "eligible": False,
            "reason": "confounded with batch",
        },
        de=de(rng, n_genes, 2, 2).assign(pvalue=np.nan, padj=np.nan),
        programmes=programme_effects(rng, 0.4),
    )
    return StudyData(
        card={**base, **card},
        samples=sheet,
        expression=expression(rng, sheet, genes),
        qc=metrics,
        correlation=correlation,
        explained=[0.31, 0.12],
        contrasts=(contrast, small),
        files={
            "samples": f"../bulk/gse{seed:06d}/samples.tsv",
            "qc": f"../bulk/gse{seed:06d}/qc.tsv",
        },
    )


def report(n_studies: int = 2, n_genes: int = 2000) -> ReportData:
    studies = [study(i + 1, n_genes) for i in range(n_studies)]
    return ReportData(
        studies=studies,
        excluded=pd.DataFrame(
            {
                "kind": ["sample", "study"],
                "dataset": ["gse000001", "gse999999"],
                "id": ["GSM1", "gse999999"],
                "what": ["one biopsy", "Only FPKM deposited"],
                "reason": ["fat biopsy: 80 % adipose reads", "no counts"],
            }
        ),
        programmes=programme_genes(),
        coverage=coverage(),
        programme_info={k: {"title": t, "caveat": x} for k, (t, _, x) in PROGRAMMES.items()},
        headline=[(p, PROGRAMMES[p][1]) for p in list(PROGRAMMES)[:6]],
        lock=pd.DataFrame(
            {
                "study": ["gse000001"],
                "url": ["https://example.org/GSE000001_RAW.tar"],
                "sha256": ["0" * 64],
                "bytes": [123456],
                "retrieved": ["2026-11-01T10:00:00Z"],
            }
        ),
        versions={"pydeseq2": "0.5.4", "gseapy": "1.3.1"},
        runtimes=pd.DataFrame({"rule": ["bulk_contrast"], "seconds": [12.5]}),
        commit="0123abc",
        config="de:\n  alpha: 0.05\n",
        parameters={
            "de": {"alpha": 0.05, "adjust": ["sex"]},
            "synthesis": {"rules": {"rho": 0.8, "alpha": 0.05}},
        },
    )


# ---- synthesis ----------------------------------------------------------------------------------

VERDICTS = (
    "supported",
    "contradicted",
    "mixed",
    "explained by denervation",
    "changed, but denervation could explain it",
    "not enough data",
    "not enough data",
)
CONTEXTS = {
    "biopsy": {
        "label": "ALS muscle biopsies, bulk",
        "cell_types": ["muscle"],
        "role": "als_patient",
    },
    "satellite": {
        "label": "Satellite cells in ALS muscle, single nucleus",
        "cell_types": ["muscle"],
        "role": "als_patient",
    },
}


def document() -> dict[str, Any]:
    """Seven claims, one per verdict and one without any data."""
    blocks = [f"{programme}/{block}" for programme, (_, block, _) in PROGRAMMES.items()]
    targets = [*blocks[:5], "GENE/MYOG", "RATIO/A:B"]
    claims = [
        {
            "id": f"C{i + 1}",
            "topic": "denervation",
            "statement": f"Statement number {i + 1} about muscle in ALS.",
            "reviews": [{"review": "r", "basis": "section heading"}],
            "subject": "satellite_cell",
            "denervation_sensitive": True,
            "tests": [{"id": "main", "target": target, "expected": "up", "contexts": [*CONTEXTS]}],
            "refuting_control": "Matched denervation.",
            "falsifier": "No difference.",
            "conflict": "Reports disagree.",
            "evidence": [{"text": "Somebody 2011", "mark": "M"}],
        }
        for i, target in enumerate(targets)
    ]
    reviews = {"r": {"citation": "A review 2025", "read": "abstract"}}
    return {"reviews": reviews, "contexts": deepcopy(CONTEXTS), "claims": claims}


def timed(role: str, name: str, stages: list[str], n_genes: int, seed: int) -> StudyData:
    """A mouse study with one contrast per stage; the first has genes."""
    rng = np.random.default_rng(seed)
    contrasts = [
        ContrastData(
            meta={
                "id": f"t{i}", "label": f"Diseased against control, {stage}", "target": "a",
                "reference": "b", "role": role, "stage": stage, "n_target": 5, "n_reference": 5,
            },
            de=None
            if i
            else de(rng, n_genes, 5, 5).assign(
                gene_id=[f"ENSMUSG{g:011d}" for g in range(n_genes)],
                symbol=lambda t: t["symbol"].str.title(),
            ),
            programmes=programme_effects(rng, 0.5 + 0.5 * i),
        )
        for i, stage in enumerate(stages)
    ]  # fmt: skip
    card = {
        "id": name,
        "accession": name.upper(),
        "title": f"Mice, {role.replace('_', ' ')}",
        "role": role,
    }
    return StudyData(card={**card, "organism": "mouse", "modality": "bulk"}, contrasts=contrasts)


def _pooled(role: str, species: str, key: str, effect: float, k: int) -> dict[str, Any]:
    return {
        "role": role, "species": species, "stage": "", "cell_type": "muscle", "key": key, "k": k,
        "n_contrasts": k, "effect": effect, "se": 0.1, "ci_low": effect - 0.3,
        "ci_high": effect + 0.3, "pvalue": 0.01, "padj": 0.02, "tau2": 0.01, "i2": 20.0,
        "pi_low": effect - 0.6, "pi_high": effect + 0.6, "status": "pooled",
    }  # fmt: skip


def synthesis(studies: list[StudyData]) -> Synthesis:
    """Tables of a synthesis whose claims cover every verdict."""
    words = document()
    rows, own, contrasts, blocks = [], [], [], []
    for item in studies:
        for part in item.contrasts:
            contrasts.append(
                {
                    "dataset": item.card["id"], "contrast": part.meta["id"],
                    "role": part.meta["role"], "species": item.card["organism"],
                    "stage": part.meta.get("stage", ""), "muscle": "", "material": "biopsy",
                    "platform": "rna-seq", "n_target": 22, "n_reference": 10,
                    "cluster": item.card["id"], "confounded": "", "evidence": "reanalysed",
                    "tag": "",
                    "eligible": part.meta.get("eligible", True),
                    "reason": part.meta.get("reason", ""),
                }
            )  # fmt: skip
            keys = {"dataset": item.card["id"], "contrast": part.meta["id"], "cell_type": "muscle"}
            blocks.append(part.programmes.assign(**keys))
    pool = [part.meta["id"] for part in studies[0].contrasts][:1]
    for i, (entry, verdict) in enumerate(zip(words["claims"], VERDICTS, strict=True)):
        for name in CONTEXTS:
            data = name == "biopsy" and i < 6
            effect = (0.8, -0.6, 0.4, 0.5, 0.45, 0.1, np.nan)[i] if data else np.nan
            rows.append(
                {
                    "claim": entry["id"], "test": "main", "context": name,
                    "statement": entry["statement"], "target": entry["tests"][0]["target"],
                    "expected": "up", "means": "", "side": "patients",
                    "part": "primary" if name == "biopsy" else "secondary",
                    "question": "level", "content": False, "margin": 0.2,
                    "grade": "pooled" if data else "", "k": 3 if data else 0,
                    "n_contrasts": 3 if data else 0, "studies": "", "effect": effect,
                    "ci_low": effect - 0.3, "ci_high": effect + 0.3, "pvalue": 0.01, "padj": 0.02,
                    "tau": 0.14, "i2": 40.0, "prob_direction": 0.99, "prob_beyond": 0.9,
                    "bayes_effect": effect, "bayes_ci_low": effect - 0.3,
                    "bayes_ci_high": effect + 0.3, "adjusted_k": 3 if data else 0,
                    "adjusted_effect": effect, "adjusted_ci_low": effect - 0.35,
                    "adjusted_ci_high": effect + 0.35, "proportions_k": 2 if data else 0,
                    "proportions_effect": effect - 0.05, "proportions_ci_low": effect - 0.45,
                    "proportions_ci_high": effect + 0.35, "delta_adjusted": effect / 2,
                    "delta_adjusted_ci_low": effect / 2 - 0.5,
                    "delta_adjusted_ci_high": effect / 2 + 0.5, "pi_low": effect - 0.7,
                    "pi_high": effect + 0.7,
                    "influential": "gse000001/als_v_healthy", "stripped_effect": effect / 2,
                    "stripped_ci_low": effect / 2 - 0.3, "stripped_ci_high": effect / 2 + 0.3,
                    "random_share": 0.03, "delta": effect / 2, "delta_ci_low": effect / 2 - 0.4,
                    "delta_ci_high": effect / 2 + 0.4, "delta_padj": 0.2, "delta_source": "x",
                    "detectable_effect": 0.42, "detectable_basis": "these 3 studies",
                    "verdict": verdict if data else "not enough data",
                    "reason": f"effect {effect:+.2f}, as expected"
                    if data
                    else "no data: no study of this kind is in this run",
                }
            )  # fmt: skip
        for item in studies[:2] if i < 6 else []:
            own += [
                {
                    "claim": entry["id"], "test": "main", "context": "biopsy",
                    "dataset": item.card["id"], "contrast": contrast, "cell_type": "muscle",
                    "effect": 0.7, "se": 0.2, "ci_low": 0.3, "ci_high": 1.1, "delta": 0.3,
                    "delta_ci_low": -0.2, "delta_ci_high": 0.8, "reference": "x",
                    "eligible": True, "reason": "",
                }
                for contrast in pool
            ]  # fmt: skip
    table = pd.DataFrame(rows)
    keys = [entry["tests"][0]["target"] for entry in words["claims"]]
    pooled = [
        _pooled(role, species, key, effect, k) | {"stripped": False}
        for role, species, effect, k in (
            ("als_patient", "human", 0.8, 3),
            ("denervation", "mouse", 1.2, 1),
            ("ageing", "human", -0.1, 2),
        )
        for key in keys
    ]
    genes = [
        _pooled("als_patient", "human", f"ENSG{g:011d}", 0.5, 3) | {"symbol": "x"} for g in range(9)
    ]
    genes.append(_pooled("als_model", "mouse", "ENSMUSG00000000002", 0.4, 2) | {"symbol": "Chrna1"})
    return Synthesis(
        document=words,
        contrasts=pd.DataFrame(contrasts),
        claims=table,
        studies=pd.DataFrame(own),
        programmes=pd.DataFrame(pooled),
        axis=pd.DataFrame(
            {
                "dataset": ["gse000001"],
                "contrast": ["als_v_healthy"],
                "cell_type": ["muscle"],
                "reference": ["den1/t0"],
                "mode": ["lambda"],
                "lambda": [0.6],
                "ci_low": [0.4],
                "ci_high": [0.8],
                "correlation": [0.7],
                "interval": ["donor bootstrap"],
                "reason": [""],
            }
        ),
        changes=pd.DataFrame(
            {
                "claim": ["C1"],
                "test": ["main"],
                "context": ["biopsy"],
                "change": ["verdict"],
                "old_verdict": ["not enough data"],
                "new_verdict": ["supported"],
                "why": ["one more study"],
            }
        ),
        overall=changes.overall(table),
        blocks=pd.concat(blocks, ignore_index=True),
        genes=pd.DataFrame(genes),
        files={"claims": "../synthesis/claims.tsv"},
    )


def whole(n_studies: int = 2, n_genes: int = 700) -> ReportData:
    """A report with a synthesis, a time course and gene counterparts."""
    bare = report(n_studies, n_genes)
    stages = ["presymptomatic", "onset", "end"]
    studies = [
        *bare.studies,
        timed("als_model", "sod1", stages, n_genes, 7),
        timed("denervation", "den1", ["day 3", "day 14"], n_genes, 8),
    ]
    twins = {f"ENSMUSG{g:011d}": f"ENSG{g:011d}" for g in range(n_genes)}
    former = {"ENSG00000000000": "OLD-MYOG;MYF4"}
    together = synthesis(studies)
    return replace(bare, studies=studies, synthesis=together, orthologs=twins, former=former)


def with_lists(whole: ReportData) -> ReportData:
    """Add a study of two lists of called genes: one gene measured elsewhere, one of lists only."""
    assert whole.synthesis is not None
    sides = {"als": "ALS against normal", "dmd": "Duchenne dystrophy against normal"}
    card = {
        **whole.studies[0].card,
        "id": "lists1",
        "accession": "GSE900001",
        "modality": "calls",
        "contrasts": [{"id": k, "label": v} for k, v in sides.items()],
    }
    facts = {
        "dataset": "lists1", "species": "human", "stage": "", "cluster": "lists1",
        "platform": "array", "n_reference": 18,
    }  # fmt: skip
    roles = {
        "als": {"role": "als_patient", "n_target": 9},
        "dmd": {"role": "myopathy", "n_target": 10},
    }
    known, alone = "ENSG00000000000", "ENSG99999999999"
    genes = [
        ("dmd", known, "MYOG", "up", 1.5, 0.002),
        ("als", known, "MYOG", "down", -2.25, 0.00012),
        ("als", alone, "ONLYLIST", "up", np.nan, np.nan),
    ]
    columns = ["contrast", "gene_id", "symbol", "direction", "log2fc", "pvalue"]
    called = pd.DataFrame(
        [
            {**facts, **roles[row[0]], **dict(zip(columns, row, strict=True)), "n_rows": 1}
            for row in genes
        ]
    ).assign(threshold="|log2 fold change| of 1.1 or more", human_gene_id=lambda t: t["gene_id"])
    blocks = pd.DataFrame(
        [
            {
                **facts, **roles[k], "contrast": k, "cell_type": "muscle",
                "programme": "MYOGENIC_DIFF", "block": "mrf", "stripped": stripped,
                "n_genes": 8, "n_measured": 4, "n_background": 1000,
                "called_up": up, "called_down": 0, "background_up": 50, "background_down": 20,
                "p_up": p, "p_down": 1.0, "padj_up": 2 * p, "padj_down": 1.0,
                "usable": k == "als", "genes_up": "MYF5;MYF6" if up else "", "genes_down": "",
            }
            for k, up, p in (("als", 2, 0.0137), ("dmd", 0, 1.0))
            for stripped in (False, True)
        ]
    )  # fmt: skip
    said = replace(whole.synthesis, called_genes=called, called_blocks=blocks)
    study_of_lists = StudyData(card=card, samples=whole.studies[0].samples.head(0))
    return replace(whole, studies=[*whole.studies, study_of_lists], synthesis=said)


def hostile(n_genes: int = 60) -> ReportData:
    """Every text that comes from outside is an attack: markup, handlers, links, formulas."""
    whole = report(1, n_genes)
    item = whole.studies[0]
    bad_link = "javascript:window.pwned=1"
    formula = '=HYPERLINK("http://evil.example","x")'
    sheet, metrics = item.samples.copy(), item.qc.copy()
    sheet["sample_id"] = metrics["sample_id"] = [f"{HOSTILE}{i}" for i in range(len(sheet))]
    sheet["condition"] = np.where(sheet["condition"] == "als", HOSTILE, formula)
    sheet[HOSTILE] = formula
    metrics.loc[2, ["flags", "reasons"]] = [HOSTILE, formula]
    matrix = pd.DataFrame(
        item.correlation.to_numpy(), index=sheet["sample_id"], columns=sheet["sample_id"].to_list()
    )
    first = item.contrasts[0]
    genes = first.de.assign(symbol=[HOSTILE, formula, "</script>", *first.de["symbol"][3:]])
    genes.loc[4, "gene_id"] = HOSTILE
    terms = first.gsea.assign(term=HOSTILE, leading_edge=f"{HOSTILE};{formula}")
    moved = first.programmes.assign(block=HOSTILE)
    attacked = ContrastData(
        meta={
            "id": f"../{HOSTILE}", "label": HOSTILE, "target": HOSTILE, "reference": formula,
            "confounded": [HOSTILE], "caveat": HOSTILE, "method": HOSTILE, "eligible": False,
            "reason": HOSTILE, "muscle": HOSTILE, "role": HOSTILE,
        },
        de=genes,
        gsea=terms,
        sets=first.sets.assign(term=[HOSTILE, f"{HOSTILE}2", formula], group="hallmark: "
                                                                             f"{HOSTILE}"),
        drivers=first.drivers.assign(symbol=HOSTILE, block=HOSTILE),
        programmes=moved,
        files={"de": bad_link, "gsea": "../../x\"><script>", "programmes": "//evil.example/x"},
    )  # fmt: skip
    card = {
        "id": f"../../{HOSTILE}", "accession": HOSTILE, "title": HOSTILE, "url": bad_link,
        "role": HOSTILE, "organism": HOSTILE, "modality": HOSTILE, "muscle": HOSTILE,
        "material": HOSTILE, "status": HOSTILE, "caveats": [HOSTILE],
        "citation": {"text": HOSTILE, "doi": '"><script>window.pwned=1</script>', "pmid": HOSTILE},
        "facts": {HOSTILE: {"value": HOSTILE, HOSTILE: formula}},
    }  # fmt: skip
    mice = timed("als_model", "sod1", [f"day 3 {HOSTILE}", f"{HOSTILE} day 9"], n_genes, 7)
    mice.contrasts[0].meta["label"] = HOSTILE
    said = synthesis([item, mice])
    for entry in said.document["claims"]:
        entry |= dict.fromkeys(["statement", "conflict", "falsifier", "topic"], HOSTILE)
        entry["evidence"] = [{"text": HOSTILE, "mark": "M"}]
    for context in said.document["contexts"].values():
        context["label"] = HOSTILE
    texts = {"reason": HOSTILE, "influential": formula, "means": HOSTILE}
    said = replace(
        said,
        claims=said.claims.assign(**texts, detectable_basis=HOSTILE),
        studies=said.studies.assign(reason=HOSTILE, eligible=False, dataset=HOSTILE),
        contrasts=said.contrasts.assign(reason=HOSTILE, material=formula, stage=HOSTILE),
        changes=said.changes.assign(why=HOSTILE, context=HOSTILE),
        axis=said.axis.assign(reference=HOSTILE, reason=formula),
    )
    return ReportData(
        studies=[
            StudyData(
                card=card,
                samples=sheet,
                qc=metrics,
                correlation=matrix,
                contrasts=(attacked,),
                files={"samples": bad_link, "qc": bad_link},
            ),
            mice,
        ],
        synthesis=said,
        title=HOSTILE,
        excluded=pd.DataFrame([dict.fromkeys(["kind", "id", "what", "reason"], HOSTILE)]),
        coverage=coverage().assign(block=HOSTILE, unknown=HOSTILE, former=formula),
        programmes=whole.programmes.assign(block=HOSTILE, symbol=HOSTILE, source=formula),
        programme_info={k: {"title": HOSTILE, "caveat": HOSTILE} for k in PROGRAMMES},
        lock=pd.DataFrame(
            [{"study": HOSTILE, "url": bad_link, "sha256": "0", "bytes": 1, "retrieved": HOSTILE}]
        ),
        versions={HOSTILE: HOSTILE},
        runtimes=pd.DataFrame([{HOSTILE: HOSTILE}]),
        commit=HOSTILE,
        config=f"{HOSTILE}</pre>",
        parameters={HOSTILE: {HOSTILE: HOSTILE}},
    )
