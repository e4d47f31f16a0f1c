"""The map of cells in the page: coloured by type, sample, group,
or any gene of panel and claims.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from alsmuscle.data.readers.sections import PLACES
from alsmuscle.report import model as m
from alsmuscle.report import wording
from alsmuscle.report.html import components as c
from alsmuscle.report.pages.expression import ALPHABET

UNASSIGNED = "unassigned"
MAX_DRAWN = 40_000
"""Cells drawn in a map; of more, every n-th: points would only cover each other."""
_FIRST = ("myonucle", "myocyte", "satellite")


def drawn(cells: m.CellsData) -> slice:
    """Return which rows of the map are drawn."""
    return slice(None, None, -(-len(cells.map) // MAX_DRAWN) or 1)


def type_order(name: str) -> tuple[int, str]:
    """Sort cell types: of muscle first (myonuclei, then satellite cells), unassigned last."""
    low = name.lower()
    place = next((i for i, word in enumerate(_FIRST) if word in low), len(_FIRST))
    return (len(_FIRST) + 1 if name == UNASSIGNED else place), name


def colours(cells: m.CellsData) -> dict[str, str]:
    """Return the colour of every cell type, one for all figures of a study."""
    from alsmuscle.report.html import figures as f

    return f.named_colours(cells.map["cell_type"].astype(str), UNASSIGNED)


GAP = 0.08
"""Between two sections that are drawn beside each other, as a share of the widest."""


def has_sections(cells: m.CellsData) -> bool:
    """Return whether it is known where spots lie on their sections."""
    return set(PLACES) <= set(cells.map) and bool(cells.map[list(PLACES)].notna().all(axis=1).any())


def sections(cells: m.CellsData) -> tuple[pd.DataFrame, dict[str, tuple[float, float]]]:
    """Lay the sections of all samples beside each other, in rows that make about a square.

    Returns
    -------
    places
        ``section_x, section_y`` per row of the map: upwards, from 0, the longest side of the
        largest section is 1; missing where not known.
    titles
        Sample → where its name stands, at the top left of its section.
    """
    table = cells.map[["sample_id", *PLACES]].copy()
    samples = sorted(table["sample_id"].astype(str).unique())
    x, y = PLACES
    table[y] = -table[y]
    own = table.groupby(table["sample_id"].astype(str))[list(PLACES)]
    table[list(PLACES)] -= own.transform("min")
    longest = float(np.nanmax(table[list(PLACES)].to_numpy())) or 1.0
    table[list(PLACES)] /= longest
    columns = int(np.ceil(np.sqrt(len(samples))))
    titles = {}
    for place, sample in enumerate(samples):
        rows = (table["sample_id"].astype(str) == sample).to_numpy()
        right, down = (1 + GAP) * (place % columns), -(1 + 2 * GAP) * (place // columns)
        table.loc[rows, x] += right
        table.loc[rows, y] += down
        top = table.loc[rows, y].max()
        titles[sample] = (right, float(top) + GAP / 2)
    return table[list(PLACES)], titles


def section_specification(study: m.StudyData) -> dict[str, Any]:
    """Return what ``scatter.js`` needs to draw spots on their sections;
    as :func:`specification`.
    """
    assert study.cells is not None
    titles = sections(study.cells)[1]
    return {
        **specification(study),
        "x": PLACES[0],
        "y": PLACES[1],
        "xlabel": "",
        "ylabel": "",
        "equal": True,
        "titles": [[x, y, name] for name, (x, y) in titles.items()],
    }


def specification(study: m.StudyData) -> dict[str, Any]:
    """Return what ``scatter.js`` needs to draw the map; the cells come by :func:`scripts`."""
    assert study.cells is not None
    held = study.cells.levels
    groups, paint = _groups(study.cells.map["cell_type"], types=True)[0], colours(study.cells)
    return {
        "kind": "cells",
        "paint": [paint[name] for name in groups],
        "source": _source(study),
        "x": "umap1",
        "y": "umap2",
        "xlabel": "UMAP 1",
        "ylabel": "UMAP 2",
        "groups": groups,
        "axes": [],
        "genes": [] if held is None else [[gene, _gene(study, gene)] for gene in held.genes],
    }


def scripts(study: m.StudyData) -> dict[str, str]:
    """Return the data scripts of a map: the cells, and one per gene,
    a digit of base 64 per cell.
    """
    cells = study.cells
    assert cells is not None
    table = cells.map.iloc[drawn(cells)]
    _, group = _groups(cells.map["cell_type"], types=True)
    painted = []
    for name, column in (("Sample", "sample_id"), ("Group", "condition")):
        names, own = _groups(cells.map[column])
        painted.append({"name": name, "groups": names, "group": own[drawn(cells)].tolist()})
    payload = {
        "umap1": table["umap1"].astype(float).round(2).tolist(),
        "umap2": table["umap2"].astype(float).round(2).tolist(),
        "group": group[drawn(cells)].tolist(),
        "colours": painted,
    }
    if has_sections(cells):
        places = sections(cells)[0].iloc[drawn(cells)].round(4)
        payload |= {key: [None if np.isnan(v) else v for v in places[key]] for key in PLACES}
    made = {f"assets/data/{_source(study)}.js": c.data_script(_source(study), payload)}
    if cells.levels is None:
        return made
    for place, gene in enumerate(cells.levels.genes):
        values = cells.levels.values[:, [place]].toarray()[:, 0][drawn(cells)]
        top = float(values.max(initial=0.0))
        codes = (
            np.minimum(np.ceil(63 * values / top), 63).astype(int)
            if top > 0
            else np.zeros(len(values), int)
        )
        text = ALPHABET[codes].tobytes().decode("ascii")
        name = _gene(study, gene)
        made[f"assets/data/{name}.js"] = c.data_script(name, {"top": round(top, 4), "codes": text})
    return made


def by_group(cells: m.CellsData, genes: list[str]) -> pd.DataFrame:
    """Return level and detection of genes per cell type and condition.

    ``cell_type, condition, gene, mean`` (log-normalised)``, detected`` (share of cells)``,
    n_cells``; over all cells, not the drawn ones.
    """
    held = cells.levels
    columns = ["cell_type", "condition", "gene", "mean", "detected", "n_cells"]
    if held is None:
        return pd.DataFrame(columns=columns)
    known = {name.upper(): i for i, name in enumerate(held.genes)}
    chosen = [known[name.upper()] for name in genes if name.upper() in known]
    rows = []
    types, conditions = (cells.map[k].astype(str).to_numpy() for k in ("cell_type", "condition"))
    for (kind, condition), where in pd.Series(range(len(types))).groupby([types, conditions]):
        own = held.values[where.to_numpy()][:, chosen]
        mean = np.asarray(own.mean(axis=0)).ravel()
        seen = np.asarray((own > 0).mean(axis=0)).ravel()
        rows += [
            (kind, condition, held.genes[i], level, share, len(where))
            for i, level, share in zip(chosen, mean, seen, strict=True)
        ]
    return pd.DataFrame(rows, columns=columns)


def _source(study: m.StudyData) -> str:
    return f"cells-{c.file_name(study.card['id'])}"


def _gene(study: m.StudyData, gene: str) -> str:
    return f"{_source(study)}-{c.file_name(gene)}"


def _groups(values: pd.Series, *, types: bool = False) -> tuple[list[str], np.ndarray]:
    """Return names in display order and, per cell, the place of its name."""
    text = values.astype(str)
    names = sorted(text.unique(), key=type_order if types else None)
    place = {name: i for i, name in enumerate(names)}
    shown = names if types else [wording.level(name) for name in names]
    return shown, text.map(place).to_numpy(dtype=int)
