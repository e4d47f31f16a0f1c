"""What a reader needs to pool again without some studies: the effects that were pooled, with
errors.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from markupsafe import Markup

from alsmuscle.report import model as m
from alsmuscle.report import wording
from alsmuscle.report.html import components as c
from alsmuscle.stats.moderated_pooling import Prior
from alsmuscle.synthesis import pooled


class Selection:
    """The blocks' effects of eligible whole-tissue comparisons, by block, and what they have in
    common.
    """

    def __init__(self, data: m.ReportData) -> None:
        """Choose what :func:`alsmuscle.synthesis.pool.pool_programmes` pools,
        and learn as it does.
        """
        rules = data.parameters.get("synthesis", {}).get("rules", {})
        self._rho, self._alpha = rules.get("rho"), rules.get("alpha")
        self._names = {
            (str(s.card["id"]), str(k.meta["id"])): f"{s.name}: {wording.label(k.meta)}"
            for s, k in data.contrasts()
        }
        self._rows: dict[tuple[str, str], dict[tuple[str, str], pd.DataFrame]] = {}
        self._priors: dict[tuple[str, str], Prior | None] = {}
        synthesis = data.synthesis
        if synthesis is None or synthesis.blocks is None or None in (self._rho, self._alpha):
            return
        if not {"cluster", "se"} <= {*synthesis.contrasts, *synthesis.blocks}:
            return
        eligible = synthesis.contrasts[m.truth(synthesis.contrasts["eligible"])]
        if "tag" in eligible:
            eligible = eligible[eligible["tag"].fillna("") == ""]
        keys = ["dataset", "contrast"]
        whole = synthesis.blocks[
            (synthesis.blocks["cell_type"] == m.TISSUE) & ~m.truth(synthesis.blocks["stripped"])
        ]
        rows = whole.merge(eligible[[*keys, "role", "species", "cluster"]], on=keys)
        rows = rows[rows["effect"].notna() & (rows["se"] > 0)]
        if "usable" in rows:
            rows = rows[m.truth(rows["usable"])]
        rows = rows.assign(
            target=rows["programme"].astype(str) + "/" + rows["block"].astype(str),
            label=rows["dataset"].astype(str) + "/" + rows["contrast"].astype(str),
        )
        rows = rows[~rows["target"].str.startswith(pooled.SINGLE)]
        for pair, own in rows.groupby(["role", "species"]):
            y, s, _ = pooled.clusters_of(own, self._rho, "effect", "se", "df", "target")
            self._priors[pair] = pooled.learn(y, s)[False]
        keys = ["programme", "block", "role", "species"]
        for (programme, block, role, species), own in rows.groupby(keys):
            self._rows.setdefault((str(programme), str(block)), {})[role, species] = own

    def of(self, programme: str, block: str, title: str) -> Markup | None:
        """Return the specification of a block for ``pool.js``; ``None`` where one study is all."""
        groups = self.groups(programme, block)
        if not groups:
            return None
        spec = {"title": title, "rho": self._rho, "alpha": self._alpha, "groups": groups}
        return Markup(c.embed_json(spec))

    def groups(self, programme: str, block: str) -> list[dict[str, Any]]:
        """Return per role and species ``label``, ``prior`` and ``rows`` of a block.

        Infinite degrees of freedom are missing, as JSON has no infinity; no prior: each block for
        itself.
        """
        order = {role: place for place, role in enumerate(m.ROLES)}
        found: list[dict[str, Any]] = []
        parts = self._rows.get((programme, block), {})
        for (role, species), own in sorted(
            parts.items(), key=lambda part: order.get(part[0][0], len(order))
        ):
            if own["cluster"].nunique() < 2:
                continue
            prior = self._priors[role, species]
            found.append(
                {
                    "label": f"{m.role_title(role)}, {species}",
                    "prior": None
                    if prior is None
                    else {key: _finite(value) for key, value in prior._asdict().items()},
                    "rows": [
                        {
                            "label": self._names.get((r.dataset, r.contrast), str(r.dataset)),
                            "cluster": str(r.cluster),
                            "effect": float(r.effect),
                            "se": float(r.se),
                            "df": _finite(getattr(r, "df", math.inf)),
                        }
                        for r in own.itertuples()
                    ],
                }
            )
        return found


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
