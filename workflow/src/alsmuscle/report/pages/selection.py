"""What a reader needs to pool again without some studies: the effects that were pooled, with errors."""

from __future__ import annotations

from typing import Any

import pandas as pd
from markupsafe import Markup

from alsmuscle.report import estimates, wording
from alsmuscle.report import model as m
from alsmuscle.report.html import components as c


class Selection:
    """The blocks' effects of eligible whole-tissue comparisons, by block."""

    def __init__(self, data: m.ReportData) -> None:
        """Choose what :func:`alsmuscle.stats.meta_analysis.pool` pools, each block on its own."""
        self._rho = data.parameters.get("synthesis", {}).get("rules", {}).get("rho")
        self._names = {
            (str(s.card["id"]), str(k.meta["id"])): f"{s.name}: {wording.label(k.meta)}"
            for s, k in data.contrasts()
        }
        self._rows: dict[tuple[str, str], pd.DataFrame] = {}
        synthesis = data.synthesis
        if synthesis is None or synthesis.blocks is None or self._rho is None:
            return
        if not {"cluster", "se"} <= {*synthesis.contrasts, *synthesis.blocks}:
            return
        eligible = synthesis.contrasts[estimates.truth(synthesis.contrasts["eligible"])]
        if "tag" in eligible:
            eligible = eligible[eligible["tag"].fillna("") == ""]
        keys = ["dataset", "contrast"]
        whole = synthesis.blocks[
            (synthesis.blocks["cell_type"] == m.TISSUE)
            & ~estimates.truth(synthesis.blocks["stripped"])
        ]
        rows = whole.merge(eligible[[*keys, "role", "species", "cluster"]], on=keys)
        rows = rows[rows["effect"].notna() & (rows["se"] > 0)]
        if "usable" in rows:
            rows = rows[estimates.truth(rows["usable"])]
        self._rows = {
            (str(programme), str(block)): own
            for (programme, block), own in rows.groupby(["programme", "block"], sort=False)
        }

    def of(self, programme: str, block: str, title: str) -> Markup | None:
        """Return the specification of a block for ``pool.js``; ``None`` where one study is all."""
        rows = self._rows.get((programme, block))
        if rows is None:
            return None
        order = {role: place for place, role in enumerate(m.ROLES)}
        groups: list[dict[str, Any]] = []
        for (role, species), own in sorted(
            rows.groupby(["role", "species"]), key=lambda pair: order.get(pair[0][0], len(order))
        ):
            if own["cluster"].nunique() < 2:
                continue
            groups.append(
                {
                    "label": f"{m.role_title(role)}, {species}",
                    "rows": [
                        {
                            "label": self._names.get((r.dataset, r.contrast), str(r.dataset)),
                            "cluster": str(r.cluster),
                            "effect": float(r.effect),
                            "se": float(r.se),
                        }
                        for r in own.itertuples()
                    ],
                }
            )
        if not groups:
            return None
        return Markup(c.embed_json({"title": title, "rho": self._rho, "groups": groups}))
